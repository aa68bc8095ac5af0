#include "consumer/settle_timing.h"

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

const TimePoint kNow{1'000'000ms};

}  // namespace

TEST_CASE("Outcomes wait for others only where that is cheap, and failures briefly",
          "[settle_timing]") {
  using Kind = Outcome::Kind;
  struct Case {
    Kind kind;
    bool may_wait;
    TimePoint due;
  };
  for (const auto& [kind, may_wait, due] :
       {Case{Kind::done, true, kNow + 10ms}, Case{Kind::retry, true, kNow + 2ms},
        Case{Kind::crash, true, kNow + 2ms}, Case{Kind::dead, true, kNow + 2ms},
        Case{Kind::released, true, TimePoint::min()}, Case{Kind::done, false, TimePoint::min()},
        Case{Kind::retry, false, TimePoint::min()}}) {
    SettleTiming timing;
    CHECK(timing.due() == TimePoint::max());
    timing.ended(kind, may_wait, kNow);
    CHECK(timing.due() == due);
  }
}

TEST_CASE("The first outcome that is due counts, until a settle", "[settle_timing]") {
  SettleTiming timing;
  timing.ended(Outcome::Kind::retry, true, kNow);
  timing.ended(Outcome::Kind::done, true, kNow + 1ms);
  CHECK(timing.due() == kNow + 2ms);
  timing.settled(kNow + 1s);  // a locked row is left
  CHECK(timing.due() == kNow + 1s);
  timing.ended(Outcome::Kind::done, true, kNow + 2ms);
  CHECK(timing.due() == kNow + 12ms);
  timing.settled(TimePoint::max());
  CHECK(timing.due() == TimePoint::max());
}
