#pragma once
// What a settle came to, as consumer and maintenance count it. Fork: after.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "fleet/scoreboard.h"
#include "options/options.h"
#include "queue/queue.h"

namespace pgforeman {

/// What is settled later counts then.
inline void count_settled(Slot& slot, Settled settled) {
  // In the order of Settled.
  constexpr std::atomic<std::uint64_t> Slot::*kCounters[] = {&Slot::done, &Slot::retry, &Slot::dead,
                                                             &Slot::released, &Slot::lost_lease};
  const auto i = static_cast<std::size_t>(settled);
  if (i < std::size(kCounters)) (slot.*kCounters[i]).fetch_add(1);
}

inline void count_cause(FleetBoard& board, Cause cause) {
  const auto i = static_cast<std::size_t>(cause);
  if (cause != Cause::none) board.causes[i].fetch_add(1, std::memory_order_relaxed);
}

inline RetryRule retry_rule(const Options& options) {
  return {options.max_attempts, options.retry_backoff, options.retry_backoff_max,
          options.max_crashes};
}

/// What a settle of this kind comes to when it was done before and only its answer was lost.
constexpr Settled as_settled_before(Outcome::Kind kind) {
  // In the order of Outcome::Kind.
  constexpr Settled kSettled[] = {Settled::done, Settled::retried, Settled::retried,
                                  Settled::dead, Settled::dead,    Settled::released};
  static_assert(std::size(kSettled) == Outcome::kKinds);
  return kSettled[static_cast<std::size_t>(kind)];
}

}  // namespace pgforeman
