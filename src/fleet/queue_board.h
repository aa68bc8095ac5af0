#pragma once
// What the processes of a fleet share about its queue. Shared memory: every reader bounds what it
// reads, as anything may stand there. Times are monotonic milliseconds; 0: never. Words are
// sequentially consistent unless said otherwise. Fork: after; the supervisor reads `counted`.

#include <atomic>
#include <cstdint>

#include "fleet/claim_cursors.h"
#include "fleet/duty_board.h"
#include "fleet/marks.h"
#include "fleet/refused_claims.h"
#include "fleet/refused_counts.h"
#include "fleet/wakeup_board.h"

namespace pgforeman {

/// What was counted last. Writer: maintenance.
struct QueueCounted {
  std::atomic<std::int64_t> at_ms;
  std::atomic<std::int64_t> ready, scheduled, running, dead, oldest_ms;
  std::atomic<std::uint32_t> capped;  ///< 1: a count is "at least"
};

/// Vacuuming the queue's table. Writers: consumers; relaxed, as they only count.
struct VacuumBoard {
  std::atomic<std::uint64_t> settled;  ///< messages, since the last vacuum
  std::atomic<std::int64_t> at_ms;     ///< not before
};

struct alignas(64) QueueBoard {
  QueueCounted counted;
  WakeupBoard wakeups;
  LowWaterMarks marks;
  ClaimCursors cursors;
  VacuumBoard vacuum;
  DutyBoard duties;
  RefusedClaims refused_claims;
  RefusedCounts refused;
  /// Claims are made without payloads until then, as one may have killed its consumer. Writer:
  /// maintenance. Monotonic.
  std::atomic<std::int64_t> careful_until_ms;
  /// The message in which a session was lost last, while its payload was read. Writers: consumers.
  std::atomic<std::int64_t> unread_id;
};

}  // namespace pgforeman
