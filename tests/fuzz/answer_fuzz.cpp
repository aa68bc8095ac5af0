// What a jsonl handler prints, and what it is told.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "fuzz/must.h"
#include "handlers/json_line.h"

using namespace pgforeman;
using pgforeman::test::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto answer = parse_answer(text, 7);
  must(answer || !answer.problem.empty(), "what is no answer has a reason");
  if (answer) {
    const auto json = nlohmann::json::parse(text, nullptr, false);
    must(json.is_object() && json.contains("id") && json["id"] == 7, "an answer names its message");
  }

  const std::string quoted = json_string(text);
  must(quoted.find('\n') == std::string::npos, "a string is one line");
  const auto back = nlohmann::json::parse(quoted, nullptr, false);
  must(back.is_string(), "a quoted text is a JSON string");

  Message message;
  message.payload = quoted;
  message.headers = "{}";
  const std::string line = request_line(message, quoted, Millis{1000});
  must(line.find('\n') == line.size() - 1, "a message is one line");
  must(nlohmann::json::parse(line, nullptr, false).is_object(), "a message is a JSON object");
  return 0;
}
