#include "text/terminal_text.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands/text_table.h"
#include "options/value.h"
#include "support/catch.h"

using namespace pgforeman;

namespace {

/// What moves a cursor, fakes a line or turns text around, each alone.
const std::vector<std::string>& steering() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> texts = {
        "\x7f",         "\x9b",         "\x90",         "\xff",         "\xc2",
        "\xc2\x80",     "\xc2\x85",     "\xc2\x9b",     "\xc2\x9d",     "\xc2\x9f",
        "\xd8\x9c",     "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xa8", "\xe2\x80\xa9",
        "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9"};
    for (char c = 0; c < ' '; ++c) texts.emplace_back(1, c);
    return texts;
  }();
  return all;
}

}  // namespace

TEST_CASE("Terminal controls are replaced", "[terminal_text]") {
  for (const std::string& text : steering()) {
    INFO(shown(text));
    CHECK_FALSE(is_terminal_safe(text));
    for (const std::string& clean : {terminal_text("a" + text + "b"), printable("a" + text + "b"),
                                     shown("a" + text + "b"), terminal_json("a" + text + "b")}) {
      CHECK(is_terminal_safe(clean));
      CHECK(clean.front() == 'a');
      CHECK(clean.back() == 'b');
    }
  }
}

TEST_CASE("Ordinary text of any language stays as it is", "[terminal_text]") {
  for (const std::string text :
       {"", "plain 'quoted' \\ text", "\xc3\xa9\xc3\x9f", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
        "\xe4\xbd\xa0\xe5\xa5\xbd", "\xf0\x9f\x98\x80", "\xc2\xa0", "\xe2\x80\x93"}) {
    INFO(text);
    CHECK(is_terminal_safe(text));
    CHECK(terminal_text(text) == text);
    CHECK(terminal_json(text) == text);
    CHECK(shown(text) == text);
  }
}

TEST_CASE("A JSON document keeps its value when terminal controls are escaped", "[terminal_text]") {
  const std::string document =
      "{\"a\":\n\t\"\xc2\x9b"
      "31m\x7f\xe2\x80\xae\",\r\n \"n\": 1}";
  const std::string safe = terminal_json(document);
  CHECK(is_terminal_safe(safe));
  CHECK(nlohmann::json::parse(safe) == nlohmann::json::parse(document));
  CHECK(safe.find("\\u009b31m\\u007f\\u202e") != std::string::npos);
}
