#include "handlers/text.h"

#include "handlers/capture.h"
#include "handlers/stderr_log.h"
#include "support/catch.h"

using namespace pgforeman;

namespace {
const std::string kBad = "\xEF\xBF\xBD";
}

TEST_CASE("clean text keeps valid UTF-8 as it is", "[text]") {
  for (const std::string text : {"", "plain", "caf\xC3\xA9", "\xE2\x82\xAC 5", "\xF0\x9F\x90\x98",
                                 "tab\tnewline\n", "\x7F", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF"}) {
    CHECK(clean_text(text) == text);
  }
}

TEST_CASE("clean text replaces every byte that is not UTF-8", "[text]") {
  CHECK(clean_text(std::string("a\0b", 3)) == "a" + kBad + "b");
  CHECK(clean_text("\xFF") == kBad);
  CHECK(clean_text("a\x80z") == "a" + kBad + "z");
  CHECK(clean_text("\xC3") == kBad);                        // half a character at the end
  CHECK(clean_text("\xC3(") == kBad + "(");                 // half a character in the middle
  CHECK(clean_text("\xC0\xAF") == kBad + kBad);             // overlong
  CHECK(clean_text("\xE0\x80\x80") == kBad + kBad + kBad);  // overlong
  CHECK(clean_text("\xF0\x80\x80\x80") == kBad + kBad + kBad + kBad);
  CHECK(clean_text("\xED\xA0\x80") == kBad + kBad + kBad);             // a surrogate
  CHECK(clean_text("\xF4\x90\x80\x80") == kBad + kBad + kBad + kBad);  // above U+10FFFF
}

TEST_CASE("first bytes never end in half a character", "[text]") {
  CHECK(utf8_prefix("abc", 3) == "abc");
  CHECK(utf8_prefix("abc", 2) == "ab");
  CHECK(utf8_prefix("a\xE2\x82\xAC", 3) == "a");
  CHECK(utf8_prefix("a\xE2\x82\xAC", 4) == "a\xE2\x82\xAC");
}

TEST_CASE("last lines begin at a line where there is one", "[text]") {
  CHECK(last_lines("one\ntwo", 100) == "one\ntwo");
  CHECK(last_lines("first\nsecond\nthird", 10) == "third");
  CHECK(last_lines("first\nsecond\nthird", 12) == "second\nthird");
  CHECK(last_lines("first\nsecond", 6) == "second");
  CHECK(last_lines("0123456789", 4) == "6789");
  CHECK(last_lines("aaa\xE2\x82\xAC", 2) == "");
}

TEST_CASE("an excerpt is quoted, on one line and short", "[text]") {
  CHECK(excerpt("hi\nthere\xFF") == "\"hi there" + kBad + "\"");
  const std::string text = excerpt(std::string(1000000, 'x'));
  CHECK(text.size() < 200);
  CHECK(text.substr(text.size() - 4) == "...\"");
}

TEST_CASE("seconds are exact decimal numbers", "[text]") {
  CHECK(decimal_seconds(Millis{0}) == "0");
  CHECK(decimal_seconds(Millis{5000}) == "5");
  CHECK(decimal_seconds(Millis{250}) == "0.25");
  CHECK(decimal_seconds(Millis{1005}) == "1.005");
  CHECK(decimal_seconds(Millis{3600000}) == "3600");
}

TEST_CASE("a head capture keeps the beginning and no more", "[text]") {
  HeadCapture head(5);
  for (int i = 0; i < 100000; ++i) head.feed("ab");
  CHECK(head.text() == "ababa");
  HeadCapture wide(4);
  wide.feed("ab\xE2\x82");
  wide.feed("\xAC!");
  CHECK(wide.text() == "ab");
  HeadCapture trimmed(100);
  trimmed.feed("42\n\n");
  CHECK(trimmed.text() == "42");
}

TEST_CASE("a tail capture keeps the last lines and no more", "[text]") {
  TailCapture tail(20);
  for (int i = 0; i < 10000; ++i) tail.feed("line " + std::to_string(i) + "\n");
  CHECK(tail.text() == "line 9998\nline 9999");
  TailCapture one(8);
  one.feed(std::string(1000000, 'x') + "end");
  CHECK(one.text() == "xxxxxend");
  tail.clear();
  CHECK(tail.text().empty());
}

TEST_CASE("a line splitter gives whole lines whatever the chunks", "[text]") {
  for (const std::size_t chunk : {1, 2, 3, 100}) {
    LineSplitter splitter(10);
    std::vector<std::string> lines;
    const std::string text = "one\n\ntwo three\nhalf";
    for (std::size_t at = 0; at < text.size(); at += chunk) {
      CHECK(splitter.feed(std::string_view(text).substr(at, chunk),
                          [&](std::string_view line) { lines.emplace_back(line); }));
    }
    CHECK(lines == std::vector<std::string>{"one", "", "two three"});
    CHECK(splitter.partial() == "half");
  }
}

TEST_CASE("a line splitter refuses a line over its limit, ended or not", "[text]") {
  const auto ignore = [](std::string_view) {};
  CHECK(LineSplitter(4).feed("1234\n1234", ignore));
  CHECK_FALSE(LineSplitter(4).feed("12345", ignore));
  CHECK_FALSE(LineSplitter(4).feed("12345\n", ignore));
  LineSplitter slow(4);
  CHECK(slow.feed("123", ignore));
  CHECK_FALSE(slow.feed("45", ignore));
}

TEST_CASE("a rate limit allows a burst and then so many a second", "[text]") {
  TimePoint now = from_ms(1000);
  RateLimit limit(10, 3, now);
  for (int i = 0; i < 3; ++i) CHECK(limit.allow(now));
  CHECK_FALSE(limit.allow(now));
  now += Millis{50};
  CHECK_FALSE(limit.allow(now));
  now += Millis{51};
  CHECK(limit.allow(now));
  CHECK_FALSE(limit.allow(now));
  now += std::chrono::hours(1);
  for (int i = 0; i < 3; ++i) CHECK(limit.allow(now));
  CHECK_FALSE(limit.allow(now));
}
