// From where claims scan.
#include "fleet/marks.h"

#include <limits>
#include <vector>

#include "marks_support.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

const TimePoint kNow{1'000'000ms};

ClaimedMessage fresh(std::int64_t id) {
  ClaimedMessage message;
  message.id = id;
  message.place = place_of(5, id);
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

TEST_CASE("Claims begin at the highest number of each lane that was claimed", "[marks]") {
  Fixture fleet;
  CHECK(fleet.marks.for_claim(kNow) == fresh_mark(100));
  const std::vector messages{fresh(500), fresh(300)};
  fleet.marks.raise(messages);
  CHECK(fleet.marks.for_claim(kNow) == fresh_mark(500));
  fleet.marks.forget(5, 300);  // it moved meanwhile
  CHECK(fleet.marks.for_claim(kNow) == fresh_mark(500));
  fleet.marks.forget(5, 500);
  CHECK(fleet.marks.for_claim(kNow) == Marks{});
}

TEST_CASE("Claims begin at the first message when no sweep was made lately", "[marks]") {
  Fixture fleet;
  CHECK(fleet.marks.for_claim(kNow + 2999ms) == fresh_mark(100));
  CHECK(fleet.marks.for_claim(kNow + 3000ms) == Marks{});
  fleet.marks.record_sweep(kNow + 3000ms);
  CHECK(fleet.marks.for_claim(kNow) == Marks{});  // a time to come is no time of a sweep
}
