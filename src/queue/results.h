#pragma once
// The plain values that the queue's functions take and return.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

#include "fleet/claimed_message.h"
#include "pgforeman/outcome.h"
#include "system/clock.h"

namespace pgforeman {

/// How failures are retried; the same for every message of a queue.
struct RetryRule {
  int max_attempts = 5;
  Millis backoff{1000};  ///< after the first failed attempt; doubles each time, +-20 % jitter
  Millis backoff_max{300000};
  int max_crashes = 3;
};

/// Where and when a message ran.
struct Run {
  int slot = -1;                ///< -1: not known
  std::int64_t started_ms = 0;  ///< wall clock, since the epoch; 0: it never ran
};

struct Settlement {
  Lease lease;
  Outcome outcome;
  Run run{};
};

/// The result of a settlement.
enum class Settled {
  done,
  retried,
  dead,
  released,
  lost_lease,
  locked,     ///< not settled: another transaction has locked its row
  failed,     ///< not settled: a temporary error (settle_each only)
  not_tried,  ///< not settled: settle_each ran out of time
  refused,    ///< not settled: the database refuses it, the lease will end (settle_each only)
};

constexpr std::string_view to_string(Settled settled) {
  constexpr std::string_view kNames[] = {"done",   "retried", "dead",      "released", "lost_lease",
                                         "locked", "failed",  "not_tried", "refused"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(Settled::refused) + 1);
  return kNames[static_cast<std::size_t>(settled)];
}

/// True if the message must be settled later.
constexpr bool is_deferred(Settled settled) {
  return settled == Settled::locked || settled == Settled::failed || settled == Settled::not_tried;
}

/// Returns the result of an earlier settle of this kind that worked, but with a lost answer.
constexpr Settled as_settled_before(Outcome::Kind kind) {
  // In the order of Outcome::Kind.
  constexpr Settled kSettled[] = {Settled::done, Settled::retried, Settled::retried,
                                  Settled::dead, Settled::dead,    Settled::released};
  static_assert(std::size(kSettled) == Outcome::kKinds);
  return kSettled[static_cast<std::size_t>(kind)];
}

struct QueueCounts {
  std::int64_t ready = 0;      ///< claimable now
  std::int64_t scheduled = 0;  ///< delayed or waiting for a retry
  std::int64_t running = 0;    ///< under a lease
  std::int64_t dead = 0;       ///< dead letters
  double oldest_seconds = 0;   ///< age of the oldest claimable message; 0 when none
  bool capped = false;         ///< a count reached its bound: there may be more
};

struct Tick {
  std::int64_t promoted = 0;
  std::optional<Millis> next_due;  ///< until the next scheduled message is due
  QueueCounts counts;
  bool ids_behind = false;  ///< used ids may be given out again: see advance_ids()
};

/// How the sequence of ids was set forward.
struct AdvancedIds {
  std::int64_t from = 0;  ///< the last id that was given out
  std::int64_t to = 0;    ///< the last id from now on: the next one is above it
  bool moved = false;     ///< the cause: the database was restored, copied or failed over
};

/// Result of a scan below the marks.
struct Sweep {
  std::int64_t moved = 0;           ///< claimable messages that went into the redelivered lane
  std::int64_t claimable = 0;       ///< all claimable ones; more than `moved` if too many or locked
  std::int64_t leased = 0;          ///< messages under a lease
  Marks lowest{};                   ///< the lowest ids found; the largest number: none
  Marks reached{};                  ///< the ids up to which it scanned
  std::optional<Millis> lease_end;  ///< until the first of these leases ends
  std::int64_t xid = 0;             ///< number of its transaction
  std::int64_t oldest_xid = 0;      ///< of the oldest open transaction; all older ones have ended
  std::int64_t highest = 0;         ///< the highest id that any message ever had
};

/// The work that can be claimed now, and when there will be more.
struct Peek {
  std::int64_t ready = 0;  ///< claimable messages, at most as many as asked for
  std::optional<Millis> next_due;
};

}  // namespace pgforeman
