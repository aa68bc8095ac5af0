// Where claims begin: at the marks, or above each other's ids while there is plenty.
#include "fleet/claim_cursors.h"

#include <limits>
#include <vector>

#include "marks_support.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace pgforeman {

/// Writes into the shared memory, as a stray process might.
struct ClaimCursorsTest {
  static void set_upto(ClaimCursors& c, std::int64_t id) { c.cursors_[5].upto.store(id); }
  static void set_from(ClaimCursors& c, std::int64_t id) { c.cursors_[5].from.store(id); }
  static void set_plenty(ClaimCursors& c, std::int64_t ms) { c.cursors_[5].plenty_at_ms.store(ms); }
  static void set_turn(ClaimCursors& c, std::int64_t ms) { c.turn_until_ms_.store(ms); }
};

}  // namespace pgforeman

namespace {

const TimePoint kClaimedAt{1'000'000ms};
constexpr auto kMax = std::numeric_limits<std::int64_t>::max();

ClaimedMessage of_lane(std::int64_t id, int lane = 5) {
  ClaimedMessage message;
  message.id = id;
  message.place = place_of(static_cast<std::size_t>(lane), id);
  return message;
}

struct Cursors {
  ClaimCursors cursors{};
  /// The marks of a claim, which came to `mark` so far.
  Marks begin(int wanted, std::int64_t mark = 100, TimePoint now = kClaimedAt) {
    Marks marks = fresh_mark(mark);
    static_cast<void>(cursors.reserve(marks, wanted, now));
    return marks;
  }
};

}  // namespace

TEST_CASE("Claims begin at the mark, or above each other while the lane is full",
          "[claim_cursors]") {
  Cursors fleet;
  CHECK(fleet.begin(10) == fresh_mark(100));
  fleet.cursors.record_plenty(5, kClaimedAt);
  CHECK(fleet.begin(10) == fresh_mark(100));
  CHECK(fleet.begin(5) == fresh_mark(110));
  CHECK(fleet.begin(7) == fresh_mark(115));
  // Claims came farther: ids have gaps.
  CHECK(fleet.begin(7, 500) == fresh_mark(500));
  CHECK(fleet.begin(7, 500) == fresh_mark(507));
  fleet.cursors.record_exhausted(5);
  CHECK(fleet.begin(7, 500) == fresh_mark(500));
  CHECK(fleet.begin(7, 500) == fresh_mark(500));
}

TEST_CASE("Ids taken by a claim that began at the mark are not reserved twice", "[claim_cursors]") {
  Cursors fleet;
  fleet.cursors.record_plenty(5, kClaimedAt);
  fleet.cursors.advance_past(std::vector{of_lane(101), of_lane(102)});  // nothing is reserved yet
  CHECK(fleet.begin(10) == fresh_mark(100));
  CHECK(fleet.begin(10) == fresh_mark(110));
  // Two of the reserved ones: their claim takes the next two.
  fleet.cursors.advance_past(std::vector{of_lane(98), of_lane(100), of_lane(101), of_lane(102, 3),
                                         of_lane(115), of_lane(116, 4)});
  CHECK(fleet.begin(10) == fresh_mark(122));
  // At another mark another count begins.
  CHECK(fleet.begin(10, 500) == fresh_mark(500));
  fleet.cursors.advance_past(std::vector{of_lane(500)});
  CHECK(fleet.begin(10, 500) == fresh_mark(510));
}

TEST_CASE("A lane counts as full for a short time, and only up to where claims have been",
          "[claim_cursors]") {
  Cursors fleet;
  fleet.cursors.record_plenty(5, kClaimedAt);
  CHECK(fleet.begin(10, 100, kClaimedAt + 199ms) == fresh_mark(100));
  CHECK(fleet.begin(10, 100, kClaimedAt + 200ms) == fresh_mark(100));
  CHECK(fleet.begin(10, 100, kClaimedAt + 199ms) == fresh_mark(110));
  fleet.cursors.record_exhausted(5);
  fleet.cursors.record_plenty(3, kClaimedAt);
  CHECK(fleet.begin(10) == fresh_mark(100));
  CHECK(fleet.begin(10) == fresh_mark(100));
}

TEST_CASE("With any values in shared memory a claim begins at or below the next message",
          "[claim_cursors]") {
  Cursors fleet;
  fleet.cursors.record_plenty(5, kClaimedAt);
  for (const std::int64_t wild :
       {std::int64_t{-1}, std::int64_t{99}, std::int64_t{5'000'000}, kMax}) {
    ClaimCursorsTest::set_upto(fleet.cursors, wild);
    CHECK(fleet.begin(10) == fresh_mark(100));
    CHECK(fleet.begin(10) == fresh_mark(110));
  }
  ClaimCursorsTest::set_from(fleet.cursors, -kMax);
  for (const std::int64_t wild : {kMax, std::int64_t{-1}}) {
    ClaimCursorsTest::set_upto(fleet.cursors, wild);
    fleet.cursors.advance_past(std::vector{of_lane(150), of_lane(151)});
    CHECK(fleet.begin(10) == fresh_mark(100));
  }
  CHECK(fleet.begin(10, kMax) == fresh_mark(kMax));
  for (const std::int64_t wild : {std::int64_t{-1}, kMax}) {
    ClaimCursorsTest::set_plenty(fleet.cursors, wild);
    CHECK(fleet.begin(10) == fresh_mark(100));
  }
}

TEST_CASE("Turns are taken one at a time, and a lost one expires", "[claim_cursors]") {
  ClaimCursors cursors{};
  CHECK(cursors.take_turn(kClaimedAt));
  CHECK_FALSE(cursors.take_turn(kClaimedAt + 4ms));
  CHECK(cursors.take_turn(kClaimedAt + 5ms));
  cursors.end_turn();
  CHECK(cursors.take_turn(kClaimedAt + 6ms));
  ClaimCursorsTest::set_turn(cursors, kMax);
  CHECK(cursors.take_turn(kClaimedAt));
}
