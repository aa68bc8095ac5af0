#pragma once
// The plain values that the queue's functions take and return.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// Times of the server, in microseconds since the epoch.
struct ServerTimes {
  std::int64_t at_us = 0;
  std::optional<std::int64_t> next_due_us;  ///< when the next scheduled message is due

  std::optional<Millis> next_due() const {
    if (!next_due_us) return std::nullopt;
    return Millis{std::max<std::int64_t>(0, (*next_due_us - at_us + 999) / 1000)};
  }
};

/// Messages that the database refused to change, each tried by itself.
struct Refused {
  std::vector<std::int64_t> ids;
  std::string reason;   ///< of the last one
  bool blamed = false;  ///< they are at fault; false: it may be the server, a full disk for example
};

struct Tick {
  std::int64_t promoted = 0;
  Refused refused;
  ServerTimes times;
  QueueCounts counts;
  bool ids_behind = false;  ///< used ids may be given out again: see advance_ids()
};

/// How the sequence of ids was set forward.
struct AdvancedIds {
  std::int64_t from = 0;  ///< the last id that was given out
  std::int64_t to = 0;    ///< the last id from now on: the next one is above it
  bool moved = false;     ///< the cause: the database was restored, copied or failed over
};

/// The transactions that may still commit messages; see pgforeman.open_writers.
struct OpenWriters {
  std::int64_t highest = 0;        ///< the last number that was drawn for a place
  std::int64_t at_us = 0;          ///< the server's time, in microseconds since the epoch
  std::vector<std::int64_t> open;  ///< transactions
  /// Of each lane, the lowest number above its mark that a visible message has; 0: none.
  Marks first{};
};

/// Result of a scan below the marks.
struct Sweep {
  std::int64_t moved = 0;  ///< claimable messages that got a new place
  Refused refused;
  std::vector<std::int64_t> reached;  ///< of each range: the place up to which it was scanned
  /// A bucket (a place without its lowest bits) that still has messages.
  struct Bucket {
    std::int64_t number = 0;
    std::int64_t leased = 0;
    Millis look_in{0};  ///< until the first lease ends; 0: a message was claimable
  };
  std::vector<Bucket> buckets;  ///< in the order of their numbers
};

/// The work that can be claimed now, and when there will be more.
struct Peek {
  std::int64_t ready = 0;  ///< claimable messages, at most as many as asked for
  ServerTimes times;
};

}  // namespace pgforeman
