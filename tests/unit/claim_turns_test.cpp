#include "scoreboard/claim_turns.h"

#include <limits>
#include <vector>

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

const TimePoint kTurnsNow{1'000'000ms};

/// As many turns as can be taken at that time, all held.
std::vector<ClaimTurn> take_all(ClaimTurns& turns, TimePoint now) {
  std::vector<ClaimTurn> held;
  while (auto turn = ClaimTurn::take(turns, now)) held.push_back(std::move(*turn));
  return held;
}

}  // namespace

TEST_CASE("Only so many claims run at a time, and a turn given back is free", "[claim_turns]") {
  ClaimTurns turns{};
  auto held = take_all(turns, kTurnsNow);
  CHECK(held.size() == ClaimTurns::kTurns);
  held.pop_back();
  CHECK(take_all(turns, kTurnsNow).size() == 1);
  held.clear();
  CHECK(take_all(turns, kTurnsNow).size() == ClaimTurns::kTurns);
}

TEST_CASE("A turn that is not given back ends after 20 ms, and frees no later one",
          "[claim_turns]") {
  ClaimTurns turns{};
  auto lost = take_all(turns, kTurnsNow);
  CHECK(take_all(turns, kTurnsNow + 19ms).empty());
  const auto later = take_all(turns, kTurnsNow + 20ms);
  CHECK(later.size() == ClaimTurns::kTurns);
  lost.clear();  // their consumer goes on
  CHECK(take_all(turns, kTurnsNow + 20ms).empty());
}

TEST_CASE("No value in the shared memory takes a turn for ever", "[claim_turns]") {
  for (const std::int64_t wild :
       {std::int64_t{-1}, to_ms(kTurnsNow) + 21, std::numeric_limits<std::int64_t>::max(),
        std::numeric_limits<std::int64_t>::min()}) {
    ClaimTurns turns{};
    for (auto& turn : turns.until_ms) turn.store(wild);
    CHECK(take_all(turns, kTurnsNow).size() == ClaimTurns::kTurns);
  }
}
