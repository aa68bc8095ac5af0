#include "text/utc_time.h"

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono;

TEST_CASE("A time is printed as ISO 8601 in UTC with its own digits", "[utc_time]") {
  const auto of_us = [](std::int64_t us) {
    return utc_text(sys_time<microseconds>{microseconds{us}});
  };
  const auto of_ms = [](std::int64_t ms) {
    return utc_text(sys_time<milliseconds>{milliseconds{ms}});
  };
  CHECK(of_us(0) == "1970-01-01T00:00:00.000000Z");
  CHECK(of_us(-1) == "1969-12-31T23:59:59.999999Z");
  CHECK(of_us(1714979289123456) == "2024-05-06T07:08:09.123456Z");
  CHECK(of_us(-62135596800000000) == "0001-01-01T00:00:00.000000Z");
  CHECK(of_us(253402300799999999) == "9999-12-31T23:59:59.999999Z");
  CHECK(of_ms(0) == "1970-01-01T00:00:00.000Z");
  CHECK(of_ms(-1) == "1969-12-31T23:59:59.999Z");
  CHECK(of_ms(1714979289023) == "2024-05-06T07:08:09.023Z");
}
