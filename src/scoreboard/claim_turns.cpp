#include "scoreboard/claim_turns.h"

#include <utility>

namespace pgforeman {

std::optional<ClaimTurn> ClaimTurn::take(ClaimTurns& turns, TimePoint now) {
  const auto until_ms = to_ms(now + ClaimTurns::kLength);
  for (auto& turn : turns.until_ms) {
    auto before = turn.load();
    const bool taken = before > to_ms(now) && before <= until_ms;
    if (!taken && turn.compare_exchange_strong(before, until_ms)) return ClaimTurn(turn, until_ms);
  }
  return std::nullopt;
}

ClaimTurn::ClaimTurn(ClaimTurn&& other) noexcept
    : turn_(std::exchange(other.turn_, nullptr)), until_ms_(other.until_ms_) {}

ClaimTurn::~ClaimTurn() {
  if (turn_ != nullptr) turn_->compare_exchange_strong(until_ms_, 0);
}

}  // namespace pgforeman
