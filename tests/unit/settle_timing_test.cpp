#include "consumer/settle_timing.h"

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

const TimePoint kEndedAt{1'000'000ms};

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
       {Case{Kind::done, true, kEndedAt + 10ms}, Case{Kind::retry, true, kEndedAt + 2ms},
        Case{Kind::crash, true, kEndedAt + 2ms}, Case{Kind::dead, true, kEndedAt + 2ms},
        Case{Kind::released, true, TimePoint::min()}, Case{Kind::done, false, TimePoint::min()},
        Case{Kind::retry, false, TimePoint::min()}}) {
    SettleTiming timing;
    CHECK(timing.due() == TimePoint::max());
    timing.ended(kind, may_wait, kEndedAt);
    CHECK(timing.due() == due);
  }
}

TEST_CASE("The first outcome that is due counts, until a settle", "[settle_timing]") {
  SettleTiming timing;
  timing.ended(Outcome::Kind::retry, true, kEndedAt);
  timing.ended(Outcome::Kind::done, true, kEndedAt + 1ms);
  CHECK(timing.due() == kEndedAt + 2ms);
  timing.settled(kEndedAt + 1s);  // a locked row is left
  CHECK(timing.due() == kEndedAt + 1s);
  timing.ended(Outcome::Kind::done, true, kEndedAt + 2ms);
  CHECK(timing.due() == kEndedAt + 12ms);
  timing.settled(TimePoint::max());
  CHECK(timing.due() == TimePoint::max());
}
