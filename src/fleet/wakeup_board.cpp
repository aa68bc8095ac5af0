#include "fleet/wakeup_board.h"

#include "fleet/scoreboard.h"

namespace pgforeman {
namespace {

/// Maintenance that did not report for so long does not listen for the fleet.
constexpr Millis kListensFor{3000};

}  // namespace

bool WakeupBoard::take() {
  auto before = pending_.load();
  while (before != 0) {
    // A count above that of consumers is garbage.
    const auto left = before > kMaxConsumers ? 0 : before - 1;
    if (pending_.compare_exchange_weak(before, left)) return true;
  }
  return false;
}

void WakeupBoard::raise(std::uint32_t needed) {
  auto before = pending_.load();
  while ((before < needed || before > kMaxConsumers) &&
         !pending_.compare_exchange_weak(before, needed)) {
  }
}

bool WakeupBoard::listens(TimePoint now) const {
  const auto at = listening_at_ms_.load();
  return at <= to_ms(now) && at > to_ms(now - kListensFor);
}

}  // namespace pgforeman
