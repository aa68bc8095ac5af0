#include "fleet/slot.h"

#include <algorithm>

namespace pgforeman {

void Slot::enter(Phase phase, TimePoint now, Millis limit) {
  phase_since_ms.store(to_ms(now), std::memory_order_relaxed);
  beat.store(Beat::make(phase, now + limit).word);
  // One that finds a full queue runs before it ever waits: it got as far as one that found none.
  if (phase == Phase::waiting || phase == Phase::running) {
    waiting_epoch.store(epoch.load(std::memory_order_relaxed));
  }
}

void Slot::set_connected(bool works) {
  if (connected.exchange(works ? 1 : 0) == 1 && !works) {
    lost_session_ms.store(to_ms(Clock::now()));
  }
}

void Slot::set_message(std::int64_t id, int which_attempt) {
  attempt.store(static_cast<std::uint32_t>(which_attempt), std::memory_order_relaxed);
  message_id.store(id);
}

void Slot::count_handler_time(Clock::duration took) {
  const double seconds = std::chrono::duration<double>(took).count();
  const auto* bound =
      std::lower_bound(kHandlerSecondsBounds.begin(), kHandlerSecondsBounds.end(), seconds);
  const auto bucket = static_cast<std::size_t>(bound - kHandlerSecondsBounds.begin());
  handler_buckets[bucket].fetch_add(1, std::memory_order_relaxed);
  handler_us_sum.fetch_add(static_cast<std::uint64_t>(
                               std::chrono::duration_cast<std::chrono::microseconds>(took).count()),
                           std::memory_order_relaxed);
}

}  // namespace pgforeman
