#include <climits>

#include "options/value.h"
#include "support/catch.h"

using namespace pgforeman;

namespace {

/// What is wrong with `text` as a value of `name`; empty: nothing.
std::string problem(std::string_view name, std::string_view text) {
  const Option* option = find_option(name);
  REQUIRE(option != nullptr);
  Options options;
  return set_value(*option, text, options).value_or("");
}

}  // namespace

TEST_CASE("Whole numbers are read strictly and within their limits", "[values]") {
  struct Case {
    const char* name;
    const char* least;
    const char* most;
    std::vector<const char*> beyond;
    const char* words;
  };
  const auto c = GENERATE(values<Case>({
      {"CONCURRENCY", "1", "1024", {"0", "1025", "5000", "-1"}, "a whole number from 1 to 1024"},
      {"BATCH", "1", "1000", {"0", "1001"}, "auto or a whole number from 1 to 1000"},
      {"MAX_ATTEMPTS", "1", "1000", {"0", "1001"}, "a whole number from 1 to 1000"},
      {"HEALTH_PORT", "0", "65535", {"-1", "65536", "70000"}, "a whole number from 0 to 65535"},
      {"CRASH_LOOP_COUNT", "1", "100", {"0", "101"}, "a whole number from 1 to 100"},
      {"MAX_MESSAGES",
       "0",
       "1000000000",
       {"-1", "1000000001"},
       "a whole number from 0 to 1000000000"},
  }));
  INFO(c.name);
  CHECK(problem(c.name, c.least).empty());
  CHECK(problem(c.name, c.most).empty());
  for (const char* text : c.beyond)
    CHECK(problem(c.name, text) == std::string("must be ") + c.words);
  for (const char* text : {"", " 4", "4 ", "+4", "4.0", "4.5", "1e2", "0x4", "abc", "NaN", "4,000",
                           "99999999999999999999", "4294967297", "4\n", "\xd9\xa4"}) {
    INFO(text);
    CHECK(problem(c.name, text) == std::string("must be ") + c.words);
  }
}

TEST_CASE("Durations are refused without a unit and beyond their limits", "[values]") {
  struct Case {
    const char* name;
    std::vector<const char*> good;
    std::vector<const char*> beyond;
    const char* words;
  };
  const auto c = GENERATE(values<Case>({
      {"HANDLER_TIMEOUT", {"10ms", "5m", "168h"}, {"9ms", "0s", "169h"}, "10ms to 168h"},
      {"VISIBILITY_TIMEOUT", {"1s", "12h"}, {"999ms", "13h"}, "1s to 12h"},
      {"POLL_INTERVAL", {"10ms", "1h"}, {"9ms", "61m"}, "10ms to 1h"},
      {"RETRY_BACKOFF", {"1ms", "24h"}, {"0s", "25h"}, "1ms to 24h"},
      {"RETRY_BACKOFF_MAX", {"1ms", "168h"}, {"0s", "169h"}, "1ms to 168h"},
      {"BOOT_TIMEOUT", {"100ms", "10m"}, {"99ms", "11m"}, "100ms to 10m"},
      {"SHUTDOWN_GRACE", {"0s", "1h"}, {"61m"}, "0s to 1h"},
      {"RESTART_BACKOFF", {"10ms", "1m"}, {"9ms", "61s"}, "10ms to 1m"},
      {"RESTART_BACKOFF_MAX", {"10ms", "1h"}, {"9ms", "61m"}, "10ms to 1h"},
      {"CRASH_LOOP_WINDOW", {"1s", "1h"}, {"999ms", "61m"}, "1s to 1h"},
  }));
  INFO(c.name);
  const std::string must = std::string("must be a duration from ") + c.words;
  for (const char* text : c.good) CHECK(problem(c.name, text).empty());
  for (const char* text : c.beyond) CHECK(problem(c.name, text).find(must) == 0);
  CHECK(problem(c.name, "30").find("has no unit; " + must) == 0);
  CHECK(problem(c.name, "-1s").find("is negative; " + must) == 0);
  CHECK(problem(c.name, "NaN").find("does not start with a number; " + must) == 0);
  CHECK(problem(c.name, "5 parsecs").find("does not end in a unit of ms, s, m or h; ") == 0);
  CHECK(problem(c.name, "99999999999999999999h").find("is too long; " + must) == 0);
}

TEST_CASE("Sizes are refused with an unknown unit and beyond their limits", "[values]") {
  const std::string must =
      "must be 0, or 32MiB to 1024GiB in bytes or with a unit of KiB, MiB or GiB, such as 512MiB";
  for (const char* text : {"0", "0MiB", "32MiB", "33554432", "1.5GiB", "1024GiB"}) {
    CHECK(problem("MAX_MEMORY", text).empty());
  }
  for (const char* text : {"1", "512", "31MiB", "1025GiB"}) {
    CHECK(problem("MAX_MEMORY", text) == must);
  }
  CHECK(problem("MAX_MEMORY", "512M") == "does not end in a unit of KiB, MiB or GiB; " + must);
  CHECK(problem("MAX_MEMORY", "-1MiB") == "is negative; " + must);
  CHECK(problem("MAX_MEMORY", "much") == "does not start with a number; " + must);
  CHECK(problem("MAX_MEMORY", "99999999999GiB") == "is too large; " + must);
  Options options;
  CHECK_FALSE(set_value(*find_option("MAX_MEMORY"), "512MiB", options));
  CHECK(options.max_memory.bytes == 512 << 20U);
}

TEST_CASE("A choice is one of its names, spelled exactly", "[values]") {
  Options options;
  CHECK_FALSE(set_value(*find_option("HANDLER_MODE"), "jsonl", options));
  CHECK(options.handler_mode == HandlerMode::jsonl);
  CHECK_FALSE(set_value(*find_option("LOG_FORMAT"), "json", options));
  CHECK(options.log_format == log::Format::json);
  CHECK(problem("HANDLER_MODE", "EXEC") == "must be exec, jsonl or noop");
  CHECK(problem("LOG_FORMAT", "xml") == "must be text or json");
  CHECK(problem("LOG_LEVEL", "warning") == "must be debug, info, warn or error");
  const std::pair<const char*, log::Level> levels[] = {{"debug", log::Level::debug},
                                                       {"info", log::Level::info},
                                                       {"warn", log::Level::warn},
                                                       {"error", log::Level::error}};
  for (const auto& [name, level] : levels) {
    CHECK_FALSE(set_value(*find_option("LOG_LEVEL"), name, options));
    CHECK(options.log_level == level);
  }
}

TEST_CASE("A queue's name has up to 63 plain characters", "[values]") {
  for (const std::string& text :
       {std::string("a"), std::string("Mail_2.high:eu-1"), std::string(63, 'q')}) {
    CHECK(problem("QUEUE", text).empty());
  }
  for (const std::string& text :
       {std::string(), std::string(64, 'q'), std::string("a b"), std::string("a/b"),
        std::string("a'b"), std::string("\xc3\xbc"), std::string("a\0b", 3), std::string("a\n")}) {
    CHECK(problem("QUEUE", text) == "must be 1 to 63 characters of A-Z a-z 0-9 _ . : -");
  }
}

TEST_CASE("The endpoint's address is literal", "[values]") {
  for (const char* text : {"0.0.0.0", "127.0.0.1", "::", "::1", "fe80::1", "::ffff:10.0.0.1"}) {
    CHECK(problem("HEALTH_ADDRESS", text).empty());
  }
  for (const char* text : {"", "localhost", "127.1", "256.0.0.1", "1.2.3.4:80", "[::1]",
                           ":::", "fe80::1%eth0", " 127.0.0.1"}) {
    INFO(text);
    CHECK_FALSE(problem("HEALTH_ADDRESS", text).empty());
  }
  CHECK_FALSE(problem("HEALTH_ADDRESS", std::string_view("::1\0x", 5)).empty());
}

TEST_CASE("A value that is refused leaves the option as it was", "[values]") {
  Options options;
  options.batch = 7;
  CHECK(set_value(*find_option("BATCH"), "0", options));
  CHECK(options.batch == 7);
}

TEST_CASE("A quoted value is bounded and breaks no line", "[values]") {
  CHECK(shown("a b") == "a b");
  CHECK(shown("a\nb\x1b[31m\x7f") == "a\\x0ab\\x1b[31m\\x7f");
  CHECK(shown("gr\xc3\xbcn") == "gr\xc3\xbcn");
  CHECK(shown("\xff\xc3") == "\\xff\\xc3");
  CHECK(shown("\xe2\x82") == "\\xe2\\x82");
  CHECK(shown(std::string(100'000, 'x')).size() < 200);
}

TEST_CASE("Every row of the table is complete, and its default is allowed", "[values]") {
  for (const Option& option : option_table()) {
    INFO(option.name);
    CHECK(option.commands != 0);
    CHECK(option.help.size() > 20);
    CHECK(option.help.back() == '.');
    CHECK_FALSE(option.value_name.empty());
    CHECK((!option.default_text.empty() || !option.default_note.empty() ||
           std::holds_alternative<std::string Options::*>(option.target)));
    CHECK((!option.default_text.empty() || !option.example.empty()));
    const bool bounded = std::holds_alternative<int Options::*>(option.target) ||
                         std::holds_alternative<Millis Options::*>(option.target) ||
                         std::holds_alternative<ByteSize Options::*>(option.target);
    CHECK((!bounded || (option.range.least < option.range.most && !option.range.because.empty())));
    if (std::holds_alternative<int Options::*>(option.target)) CHECK(option.range.most <= INT_MAX);
    const auto text = option.default_text.empty() ? option.example : option.default_text;
    CHECK(problem(option.name, text).empty());
  }
}
