#pragma once
// What the processes of a fleet share about its queue. Shared memory: every reader bounds what it
// reads, as anything may stand there. Times are monotonic milliseconds; 0: never.
//
// All words are sequentially consistent unless said otherwise. A consumer writes its phase and then
// reads `call_when_idle` and `pending`, maintenance the other way round: neither misses the other.

#include <atomic>
#include <cstdint>

#include "fleet/claim_cursors.h"
#include "fleet/marks.h"

namespace pgforeman {

/// What was counted last. Writer: maintenance.
struct QueueCounted {
  std::atomic<std::int64_t> at_ms;
  std::atomic<std::int64_t> ready, scheduled, running, dead, oldest_ms;
  std::atomic<std::uint32_t> capped;  ///< 1: a count is "at least"
};

/// How new messages become known. Writer: maintenance, but where said.
struct WakeupBoard {
  std::atomic<std::int64_t> listening_at_ms;     ///< when maintenance last could be notified
  std::atomic<std::uint32_t> call_when_idle;     ///< 1: a consumer that becomes idle calls it
  std::atomic<std::uint32_t> maintenance_polls;  ///< 1: it polls for messages each 2 to 6 ms
  /// Wake-ups that no idle consumer has taken yet. Writers: all (compare-and-swap).
  std::atomic<std::uint32_t> pending;
  /// When an idle consumer last polled for all. Writers: consumers.
  std::atomic<std::int64_t> polled_at_ms;
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
};

}  // namespace pgforeman
