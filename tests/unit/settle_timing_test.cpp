#include "consumer/settle_timing.h"

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

const TimePoint kEndedAt{1'000'000ms};

}  // namespace

TEST_CASE("Outcomes of brief messages wait for others, failures for a shorter time",
          "[settle_timing]") {
  using Ended = Outcome::Kind;
  struct Case {
    Ended kind;
    bool may_wait;
    TimePoint due;
  };
  for (const auto& [kind, may_wait, due] :
       {Case{Ended::done, true, kEndedAt + 10ms}, Case{Ended::retry, true, kEndedAt + 2ms},
        Case{Ended::crash, true, kEndedAt + 2ms}, Case{Ended::dead, true, kEndedAt + 2ms},
        Case{Ended::released, true, TimePoint::min()}, Case{Ended::done, false, TimePoint::min()},
        Case{Ended::retry, false, TimePoint::min()}}) {
    SettleTiming timing;
    CHECK(timing.due() == TimePoint::max());
    timing.ended(kind, may_wait, kEndedAt);
    CHECK(timing.due() == due);
  }
}

TEST_CASE("The earliest due outcome sets the time of the next settle", "[settle_timing]") {
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
