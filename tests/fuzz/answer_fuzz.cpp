// A jsonl handler's output and its requests.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "fuzz/must.h"
#include "handlers/json_line.h"
#include "handlers/lenient_json.h"
#include "handlers/long_answer.h"

using namespace pgforeman;
using pgforeman::test::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto answer = parse_answer(text, 7);
  must(answer || !answer.problem.empty(), "what is no answer has a reason");
  const std::string mended = mend_json(text);
  must(mended.size() <= 6 * text.size() + 16, "mending bounds what it adds");
  if (answer) {
    auto json = nlohmann::json::parse(text, nullptr, false);
    if (json.is_discarded()) json = nlohmann::json::parse(mended, nullptr, false);
    must(json.is_object() && json.contains("id") && (json["id"] == 7 || json["id"] == "7"),
         "an answer names its message");
    must(looks_like_answer(text) || json["status"] == "done", "an answer looks like one");
  }
  LongAnswer long_answer(1024);
  if (long_answer.feed(text.substr(0, size / 2)) && long_answer.feed(text.substr(size / 2))) {
    must(long_answer.text().size() <= 1024, "of a long answer a part is kept");
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
