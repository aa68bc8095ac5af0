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

inline RetryRule retry_rule(const Options& options) {
  return {options.max_attempts, options.retry_backoff, options.retry_backoff_max,
          options.max_crashes};
}

}  // namespace pgforeman
