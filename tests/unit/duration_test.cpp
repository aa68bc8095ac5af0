#include "text/quantity.h"

#include "support/catch.h"

using pgforeman::format_duration;
using Millis = std::chrono::milliseconds;
using pgforeman::parse_duration;

TEST_CASE("A duration is a number with its unit", "[duration]") {
  struct Case {
    const char* text;
    std::int64_t ms;
  };
  const Case c = GENERATE(Case{"0s", 0}, Case{"0ms", 0}, Case{"500ms", 500}, Case{"30s", 30'000},
                          Case{"5m", 300'000}, Case{"24h", 86'400'000}, Case{"1.5h", 5'400'000},
                          Case{"0.25s", 250}, Case{"1.500s", 1500}, Case{"007s", 7000},
                          Case{"1.0ms", 1}, Case{"0.0000000000s", 0}, Case{"1.000000000000s", 1000},
                          Case{"0.00001h", 36}, Case{"9223372036854775806ms", 9223372036854775806});
  INFO(c.text);
  const auto parsed = parse_duration(c.text);
  REQUIRE(parsed);
  CHECK(parsed.value->count() == c.ms);
}

TEST_CASE("A malformed duration is refused with the reason", "[duration]") {
  struct Case {
    const char* text;
    const char* problem;
  };
  const char* unit = "does not end in a unit of ms, s, m or h";
  const char* number = "does not start with a number";
  const Case c = GENERATE_COPY(
      Case{"", "is empty"}, Case{"30", "has no unit"}, Case{"1.5", "has no unit"},
      Case{"0", "has no unit"}, Case{"-1s", "is negative"}, Case{"-0s", "is negative"},
      Case{"NaN", number}, Case{"nans", number}, Case{"inf", number}, Case{"s", number},
      Case{" 5s", number}, Case{"+5s", number}, Case{".5s", number}, Case{"0x10s", unit},
      Case{"5 parsecs", unit}, Case{"5 s", unit}, Case{"5S", unit}, Case{"5s ", unit},
      Case{"5s\n", unit}, Case{"1e3s", unit}, Case{"1h30m", unit}, Case{"5d", unit},
      Case{"5us", unit}, Case{"1,5s", unit}, Case{"5.s", "has no digits after its point"},
      Case{"1.2.3s", unit}, Case{"1.5ms", "is no whole number of milliseconds"},
      Case{"0.0001s", "is no whole number of milliseconds"},
      Case{"0.00000000000000000001h", "is no whole number of milliseconds"},
      Case{"9223372036854775807ms", "is too long"}, Case{"9223372036854775808ms", "is too long"},
      Case{"9223372036854775807h", "is too long"}, Case{"2562047788016h", "is too long"},
      Case{"99999999999999999999999999h", "is too long"});
  INFO(c.text);
  const auto parsed = parse_duration(c.text);
  CHECK_FALSE(parsed);
  CHECK(parsed.problem == c.problem);
}

TEST_CASE("A duration is printed in its largest whole unit and reads back the same", "[duration]") {
  struct Case {
    std::int64_t ms;
    const char* text;
  };
  const Case c = GENERATE(Case{0, "0s"}, Case{1, "1ms"}, Case{1000, "1s"}, Case{1500, "1500ms"},
                          Case{90'000, "90s"}, Case{300'000, "5m"}, Case{3'600'000, "1h"},
                          Case{5'400'000, "90m"}, Case{604'800'000, "168h"});
  CHECK(format_duration(Millis{c.ms}) == c.text);
  CHECK(parse_duration(c.text).value->count() == c.ms);
}
