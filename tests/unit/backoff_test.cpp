#include "system/backoff.h"

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

TEST_CASE("Backoff doubles up to its cap and jitters by a fifth", "[backoff]") {
  CHECK(backoff_delay(0, 100ms, 30s, 0.5) == 100ms);
  CHECK(backoff_delay(1, 100ms, 30s, 0.5) == 200ms);
  CHECK(backoff_delay(3, 100ms, 30s, 0.0) == 640ms);
  CHECK(backoff_delay(100000, 100ms, 30s, 0.5) == 30s);
  CHECK(backoff_delay(-1, 100ms, 30s, 0.5) == 100ms);
  CHECK(backoff_delay(9, 100ms, 30s, 0.999) <= 36s);
}
