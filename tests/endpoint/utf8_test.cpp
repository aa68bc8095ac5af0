#include "text/utf8.h"

#include "support/catch.h"

using pgforeman::to_valid_utf8;

TEST_CASE("valid UTF-8 is left alone", "[utf8]") {
  for (const char* text : {"", "plain", "\xC3\xA9", "\xE2\x82\xAC", "\xED\x9F\xBF", "\xEE\x80\x80",
                           "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    CHECK(to_valid_utf8(text) == text);
  }
}

TEST_CASE("each byte that is not UTF-8 becomes U+FFFD", "[utf8]") {
  const std::string mark = "\xEF\xBF\xBD";
  CHECK(to_valid_utf8("a\xFFz") == "a" + mark + "z");
  CHECK(to_valid_utf8("\x80") == mark);
  CHECK(to_valid_utf8("\xC0\xAF") == mark + mark);             // overlong
  CHECK(to_valid_utf8("\xE0\x80\xAF") == mark + mark + mark);  // overlong
  CHECK(to_valid_utf8("\xF0\x80\x80\xAF") == mark + mark + mark + mark);
  CHECK(to_valid_utf8("\xED\xA0\x80") == mark + mark + mark);  // a surrogate
  CHECK(to_valid_utf8("\xF4\x90\x80\x80") == mark + mark + mark + mark);
  CHECK(to_valid_utf8("\xE2\x82") == mark + mark);  // cut short
  CHECK(to_valid_utf8("\xC3(") == mark + "(");
}
