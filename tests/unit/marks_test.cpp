// From where claims scan.
#include "fleet/marks.h"

#include <limits>
#include <vector>

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

const TimePoint kNow{1'000'000ms};

ClaimedMessage fresh(std::int64_t id) {
  ClaimedMessage message;
  message.id = id;
  message.lane = 5;
  return message;
}

/// A fleet whose claims came to this id of the usual priority.
struct Fixture {
  Fixture() {
    const std::vector messages{fresh(100)};
    marks.raise(messages);
    marks.record_sweep(kNow);
  }
  LowWaterMarks marks{};
};

}  // namespace

TEST_CASE("Claims begin at the highest id of each priority that was claimed", "[marks]") {
  Fixture fleet;
  CHECK(fleet.marks.for_claim(kNow) == Marks{0, 0, 100, 0});
  const std::vector messages{fresh(500), fresh(300)};
  fleet.marks.raise(messages);
  CHECK(fleet.marks.for_claim(kNow) == Marks{0, 0, 500, 0});
  fleet.marks.forget(2, 300);  // it moved meanwhile
  CHECK(fleet.marks.for_claim(kNow) == Marks{0, 0, 500, 0});
  fleet.marks.forget(2, 500);
  CHECK(fleet.marks.for_claim(kNow) == Marks{});
}

TEST_CASE("Claims begin at the first id when no sweep was made lately", "[marks]") {
  Fixture fleet;
  CHECK(fleet.marks.for_claim(kNow + 2999ms) == Marks{0, 0, 100, 0});
  CHECK(fleet.marks.for_claim(kNow + 3000ms) == Marks{});
  fleet.marks.record_sweep(kNow + 3000ms);
  CHECK(fleet.marks.for_claim(kNow) == Marks{});  // a time to come is no time of a sweep
}
