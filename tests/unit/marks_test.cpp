// From where claims look: at the marks, or apart from each other while there is plenty.
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
  Marks begin(int wanted, TimePoint now = kNow) {
    Marks marks = marks_for_claim(board, now);
    begin_apart(board, marks, wanted, now);
    return marks;
  }
  Scoreboard scoreboard;
  FleetBoard& board = scoreboard.fleet();
};

}  // namespace

TEST_CASE("Claims begin at the mark, and behind each other while there is plenty", "[marks]") {
  Fixture fleet;
  CHECK(fleet.begin(10) == Marks{0, 0, 100, 0});
  note_plenty(fleet.board, 2, kNow);
  CHECK(fleet.begin(10) == Marks{0, 0, 100, 0});
  CHECK(fleet.begin(5) == Marks{0, 0, 110, 0});
  CHECK(fleet.begin(7) == Marks{0, 0, 115, 0});
  // Claims came farther: ids have gaps.
  const std::vector messages{fresh(500)};
  raise_marks(fleet.board, messages);
  CHECK(fleet.begin(7) == Marks{0, 0, 500, 0});
  CHECK(fleet.begin(7) == Marks{0, 0, 507, 0});
  note_end(fleet.board, 2);
  CHECK(fleet.begin(7) == Marks{0, 0, 500, 0});
  CHECK(fleet.begin(7) == Marks{0, 0, 500, 0});
}

TEST_CASE("What a claim that began at the mark took is not counted for others too", "[marks]") {
  Fixture fleet;
  note_plenty(fleet.board, 2, kNow);
  const std::vector before{fresh(101), fresh(102)};
  note_beside(fleet.board, before);  // nobody had begun apart: whoever does begins at the mark
  CHECK(fleet.begin(10) == Marks{0, 0, 100, 0});
  CHECK(fleet.begin(10) == Marks{0, 0, 110, 0});
  // Two of somebody's ten: whoever misses them takes them from behind those that have begun.
  std::vector beside{fresh(98), fresh(100), fresh(101), fresh(102), fresh(115)};
  beside[3].lane = 3;
  beside.push_back(fresh(116));
  beside.back().lane = 4;
  note_beside(fleet.board, beside);
  CHECK(fleet.begin(10) == Marks{0, 0, 122, 0});
  // At another mark another count begins.
  const std::vector farther{fresh(500)};
  raise_marks(fleet.board, farther);
  CHECK(fleet.begin(10) == Marks{0, 0, 500, 0});
  note_beside(fleet.board, farther);
  CHECK(fleet.begin(10) == Marks{0, 0, 510, 0});
}

TEST_CASE("Plenty is soon over, and not where no claim has come yet", "[marks]") {
  Fixture fleet;
  note_plenty(fleet.board, 2, kNow);
  CHECK(fleet.begin(10, kNow + 199ms) == Marks{0, 0, 100, 0});
  CHECK(fleet.begin(10, kNow + 200ms) == Marks{0, 0, 100, 0});
  CHECK(fleet.begin(10, kNow + 199ms) == Marks{0, 0, 110, 0});
  note_end(fleet.board, 2);
  note_plenty(fleet.board, 1, kNow);
  CHECK(fleet.begin(10) == Marks{0, 0, 100, 0});
  CHECK(fleet.begin(10) == Marks{0, 0, 100, 0});
}

TEST_CASE("Who writes over the shared memory leads no claim astray", "[marks]") {
  Fixture fleet;
  note_plenty(fleet.board, 2, kNow);
  for (const std::int64_t wild : {std::int64_t{-1}, std::int64_t{99}, std::int64_t{5'000'000},
                                  std::numeric_limits<std::int64_t>::max()}) {
    fleet.board.taken[2].store(wild);
    CHECK(fleet.begin(10) == Marks{0, 0, 100, 0});
    CHECK(fleet.begin(10) == Marks{0, 0, 110, 0});
  }
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  const std::vector messages{fresh(150), fresh(151)};
  fleet.board.apart_from[2].store(-kMax);
  for (const std::int64_t wild : {kMax, std::int64_t{-1}}) {
    fleet.board.taken[2].store(wild);
    note_beside(fleet.board, messages);
    CHECK(fleet.begin(10) == Marks{0, 0, 100, 0});
  }
  fleet.board.marks[2].store(kMax);
  CHECK(fleet.begin(10) == Marks{0, 0, kMax, 0});
  fleet.board.marks[2].store(100);
  for (const std::int64_t wild : {std::int64_t{-1}, kMax}) {
    fleet.board.plenty_at_ms[2].store(wild);
    CHECK(fleet.begin(10) == Marks{0, 0, 100, 0});
  }
}

TEST_CASE("Turns are taken one at a time, and a lost one is soon over", "[marks]") {
  Scoreboard scoreboard;
  FleetBoard& board = scoreboard.fleet();
  CHECK(take_turn(board, kNow));
  CHECK_FALSE(take_turn(board, kNow + 4ms));
  CHECK(take_turn(board, kNow + 5ms));
  end_turn(board);
  CHECK(take_turn(board, kNow + 6ms));
  board.turn_until_ms.store(std::numeric_limits<std::int64_t>::max());
  CHECK(take_turn(board, kNow));
}
