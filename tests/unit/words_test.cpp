#include "text/words.h"

#include "support/catch.h"

using pgforeman::split_words;

TEST_CASE("A command line is split like a shell splits words", "[words]") {
  struct Case {
    std::string text;
    std::vector<std::string> words;
  };
  const auto c = GENERATE(values<Case>({
      {"", {}},
      {"  \t\n ", {}},
      {"cat", {"cat"}},
      {" a  b\tc\nd ", {"a", "b", "c", "d"}},
      {"a 'b c' d", {"a", "b c", "d"}},
      {"a \"b c\" d", {"a", "b c", "d"}},
      {"a''b", {"ab"}},
      {"'' \"\"", {"", ""}},
      {"'a'b\"c\"", {"abc"}},
      {"'a\"b'", {"a\"b"}},
      {"\"a'b\"", {"a'b"}},
      {"a\\ b", {"a b"}},
      {"\\'", {"'"}},
      {"'a\\b'", {"a\\b"}},
      {"\"a\\b\\\"\\\\\\$\\`\"", {"a\\b\"\\$`"}},
      {"a\\\nb", {"ab"}},
      {"\"a\\\nb\"", {"ab"}},
      {"\\\n", {}},
      {"'a\nb'", {"a\nb"}},
      {"$HOME *.c ~ | > a#b #c", {"$HOME", "*.c", "~", "|", ">", "a#b", "#c"}},
      {"sh -c 'echo \"$1\" | wc -l'", {"sh", "-c", "echo \"$1\" | wc -l"}},
      {"gr\xc3\xbc\xc3\x9f e", {"gr\xc3\xbc\xc3\x9f", "e"}},
  }));
  INFO(c.text);
  const auto split = split_words(c.text);
  REQUIRE(split);
  CHECK(*split.value == c.words);
}

TEST_CASE("An unfinished command line is refused with the reason", "[words]") {
  CHECK(split_words("a 'b").problem == "has a single quote that is never closed");
  CHECK(split_words("a \"b").problem == "has a double quote that is never closed");
  CHECK(split_words("a \"b\\\"").problem == "has a double quote that is never closed");
  CHECK(split_words("'a\\''").problem == "has a single quote that is never closed");
  CHECK(split_words("a\\").problem == "ends in a backslash with nothing after it");
  CHECK(split_words("\"a\\").problem == "ends in a backslash with nothing after it");
}
