#pragma once
// What a settle came to, as a counter and as a word. For consumer and maintenance.

#include <string_view>

#include "options/options.h"
#include "queue/queue.h"
#include "scoreboard/scoreboard.h"

namespace pgforeman {

inline void count_settled(Slot& slot, Settled settled) {
  switch (settled) {
    case Settled::done:
      slot.done.fetch_add(1);
      break;
    case Settled::retried:
      slot.retry.fetch_add(1);
      break;
    case Settled::dead:
      slot.dead.fetch_add(1);
      break;
    case Settled::released:
      slot.released.fetch_add(1);
      break;
    case Settled::lost_lease:
      slot.lost_lease.fetch_add(1);
      break;
    case Settled::locked:
    case Settled::failed:
    case Settled::refused:
      break;
  }
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
constexpr Settled as_told_before(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::Kind::done:
      return Settled::done;
    case Outcome::Kind::retry:
    case Outcome::Kind::crash:
      return Settled::retried;
    case Outcome::Kind::dead:
    case Outcome::Kind::worn_out:
      return Settled::dead;
    case Outcome::Kind::released:
      return Settled::released;
  }
  return Settled::lost_lease;
}

constexpr std::string_view to_string(Settled settled) {
  switch (settled) {
    case Settled::done:
      return "done";
    case Settled::retried:
      return "retried";
    case Settled::dead:
      return "dead";
    case Settled::released:
      return "released";
    case Settled::lost_lease:
      return "lost_lease";
    case Settled::locked:
      return "locked";
    case Settled::failed:
      return "failed";
    case Settled::refused:
      return "refused";
  }
  return "unknown";
}

}  // namespace pgforeman
