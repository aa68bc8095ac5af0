#pragma once
// What the queue's functions return, as plain values.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "pgforeman/message.h"

namespace pgforeman {

struct QueueCounts {
  std::int64_t ready = 0;      ///< claimable now
  std::int64_t scheduled = 0;  ///< delayed or waiting for a retry
  std::int64_t running = 0;    ///< under a lease
  std::int64_t dead = 0;       ///< dead letters
  double oldest_seconds = 0;   ///< age of the oldest claimable message; 0 when none
  bool capped = false;         ///< a count reached its bound: "at least"
};

struct Tick {
  std::int64_t promoted = 0;
  std::optional<Millis> next_due;  ///< until the next scheduled message is due
  QueueCounts counts;
  bool ids_behind =
      false;  ///< ids of messages there are will be given out again; see id_sequence.h
};

/// What a look behind the marks came to.
struct Sweep {
  std::int64_t moved = 0;      ///< claimable ones that went into the redelivered lane
  std::int64_t claimable = 0;  ///< that were to go there; some may be locked, or too many for once
  std::int64_t leased = 0;
  Marks lowest{};                   ///< the lowest ids that were found; the largest number: none
  Marks reached{};                  ///< how far it looked
  std::optional<Millis> lease_end;  ///< until the first of these leases ends
  std::int64_t xid = 0;             ///< of its transaction
  std::int64_t oldest_xid = 0;      ///< that was under way; all that wrote before it have ended
  std::int64_t highest = 0;         ///< id that any message ever had
};

/// What is to be done at once, and when there will be more.
struct Look {
  std::int64_t ready = 0;  ///< claimable, up to as many as were asked for
  std::optional<Millis> next_due;
};

}  // namespace pgforeman
