#include "text/quantity.h"

#include "support/catch.h"

using pgforeman::format_byte_size;
using pgforeman::parse_byte_size;

TEST_CASE("A size is a number of bytes, or one with a binary unit", "[byte_size]") {
  struct Case {
    const char* text;
    std::int64_t bytes;
  };
  const Case c = GENERATE(Case{"0", 0}, Case{"0MiB", 0}, Case{"1", 1}, Case{"536870912", 536870912},
                          Case{"1KiB", 1024}, Case{"512MiB", 536870912}, Case{"2GiB", 2147483648},
                          Case{"1.5GiB", 1610612736}, Case{"0.5KiB", 512}, Case{"007MiB", 7340032},
                          Case{"9223372036854775806", 9223372036854775806});
  INFO(c.text);
  const auto parsed = parse_byte_size(c.text);
  REQUIRE(parsed);
  CHECK(parsed.value->bytes == c.bytes);
}

TEST_CASE("A malformed size is refused with the reason", "[byte_size]") {
  struct Case {
    const char* text;
    const char* problem;
  };
  const char* unit = "does not end in a unit of KiB, MiB or GiB";
  const char* number = "does not start with a number";
  const char* whole = "is no whole number of bytes";
  const Case c = GENERATE_COPY(
      Case{"", "is empty"}, Case{"-1", "is negative"}, Case{"MiB", number}, Case{"much", number},
      Case{" 5MiB", number}, Case{"+5MiB", number}, Case{".5GiB", number}, Case{"NaN", number},
      Case{"512M", unit}, Case{"512MB", unit}, Case{"512Mi", unit}, Case{"512 MiB", unit},
      Case{"512mib", unit}, Case{"512B", unit}, Case{"1TiB", unit}, Case{"5MiB ", unit},
      Case{"0x10", unit}, Case{"1e9", unit}, Case{"1,5GiB", unit}, Case{"50%", unit},
      Case{"5.MiB", "has no digits after its point"}, Case{"1.5", whole}, Case{"0.1GiB", whole},
      Case{"9223372036854775808", "is too large"}, Case{"9007199254740992GiB", "is too large"},
      Case{"8589934592GiB", "is too large"});
  INFO(c.text);
  const auto parsed = parse_byte_size(c.text);
  CHECK_FALSE(parsed);
  CHECK(parsed.problem == c.problem);
}

TEST_CASE("A size is printed in its largest whole unit and reads back the same", "[byte_size]") {
  struct Case {
    std::int64_t bytes;
    const char* text;
  };
  const Case c = GENERATE(Case{0, "0"}, Case{1, "1"}, Case{1000, "1000"}, Case{1024, "1KiB"},
                          Case{1610612736, "1536MiB"}, Case{1099511627776, "1024GiB"});
  CHECK(format_byte_size({c.bytes}) == c.text);
  CHECK(parse_byte_size(c.text).value->bytes == c.bytes);
}
