#pragma once
// One child's line of the scoreboard. Writers: the child that lives in the slot; the supervisor
// before it forks that child and after it reaped it. Lock-free atomics only, because a dead child
// must not hold a lock. Readers bound every value, as a child may write anything.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "fleet/phase.h"
#include "system/clock.h"

namespace pgforeman {

/// The buckets of the handler-time histogram: upper bounds in seconds; one more, +Inf, follows.
inline constexpr std::array<double, 14> kHandlerSecondsBounds = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600};
inline constexpr std::size_t kHandlerBuckets = kHandlerSecondsBounds.size() + 1;

struct alignas(64) Slot {
  std::atomic<std::uint32_t> epoch;
  /// Phase in the top byte, deadline (monotonic ms) below: one word, so a reading is never torn.
  std::atomic<std::uint64_t> beat;
  std::atomic<std::int64_t> phase_since_ms;
  std::atomic<std::uint32_t> connected;       ///< 1: its database session works
  std::atomic<std::int64_t> lost_session_ms;  ///< when it last stopped working; 0: never
  std::atomic<std::uint32_t> waiting_epoch;   ///< the last epoch that waited or ran: was healthy
  std::atomic<std::int64_t> message_id;       ///< 0: none
  std::atomic<std::uint32_t> attempt;
  std::atomic<std::uint32_t> batch;          ///< how many it last asked for
  std::atomic<std::uint32_t> awaits_wakeup;  ///< 1: it waits for its wakeup fd
  std::atomic<std::uint64_t> reached_limit;  ///< ReachedLimit::word(); 0: none
  // Counters live as long as the fleet: they go on where the slot's last child left them.
  std::atomic<std::uint64_t> done, retry, dead, released, lost_lease;
  std::array<std::atomic<std::uint64_t>, kHandlerBuckets> handler_buckets;
  std::atomic<std::uint64_t> handler_us_sum;

  // The supervisor's. Fork: before.
  /// A child is about to be forked. It must report within `boot_timeout`.
  void begin_child(std::uint32_t its_epoch, TimePoint now, Millis boot_timeout);
  /// The child was reaped. After a recycled one the session counts as lost at `now`, not as one
  /// that never worked: its successor connects within some 10 ms, and the fleet stays ready.
  void end_child(TimePoint now, bool recycled);

  // The child's. Fork: after.
  /// Enters a phase, and publishes the deadline for leaving it.
  void enter(Phase phase, TimePoint now, Millis limit);
  void set_connected(bool works);
  void set_message(std::int64_t id, int which_attempt);
  void count_handler_time(Clock::duration took);
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// A reading of Slot::beat.
struct Beat {
  std::uint64_t word = 0;
  Phase phase() const {
    const auto value = static_cast<std::uint8_t>(word >> 56U);
    return value < kPhaseCount ? static_cast<Phase>(value) : Phase::empty;
  }
  TimePoint deadline() const {
    return from_ms(static_cast<std::int64_t>(word & ((std::uint64_t{1} << 56U) - 1)));
  }
  static Beat make(Phase phase, TimePoint deadline) {
    return {static_cast<std::uint64_t>(phase) << 56U |
            (static_cast<std::uint64_t>(to_ms(deadline)) & ((std::uint64_t{1} << 56U) - 1))};
  }
};

}  // namespace pgforeman
