// From where claims look.
#include "scoreboard/marks.h"

#include <limits>
#include <vector>

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

const TimePoint kNow{1'000'000ms};

Message fresh(std::int64_t id) {
  Message message;
  message.lease.id = id;
  message.lane = 5;
  return message;
}

/// A fleet whose claims came to this id of the usual priority.
struct Fixture {
  Fixture() {
    const std::vector messages{fresh(100)};
    raise_marks(board, messages);
    note_sweep(board, kNow);
  }
  Scoreboard scoreboard;
  FleetBoard& board = scoreboard.fleet();
};

}  // namespace

TEST_CASE("Claims begin at the highest id of each priority that was claimed", "[marks]") {
  Fixture fleet;
  CHECK(marks_for_claim(fleet.board, kNow) == Marks{0, 0, 100, 0});
  const std::vector messages{fresh(500), fresh(300)};
  raise_marks(fleet.board, messages);
  CHECK(marks_for_claim(fleet.board, kNow) == Marks{0, 0, 500, 0});
  forget_mark(fleet.board, 2, 300);  // it moved meanwhile
  CHECK(marks_for_claim(fleet.board, kNow) == Marks{0, 0, 500, 0});
  forget_mark(fleet.board, 2, 500);
  CHECK(marks_for_claim(fleet.board, kNow) == Marks{});
}

TEST_CASE("Claims begin at the first id when no sweep was made lately", "[marks]") {
  Fixture fleet;
  CHECK(marks_for_claim(fleet.board, kNow + 2999ms) == Marks{0, 0, 100, 0});
  CHECK(marks_for_claim(fleet.board, kNow + 3000ms) == Marks{});
  note_sweep(fleet.board, kNow + 3000ms);
  CHECK(marks_for_claim(fleet.board, kNow) == Marks{});  // a time to come is no time of a sweep
}
