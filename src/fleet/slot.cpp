#include "fleet/slot.h"

#include <algorithm>

namespace pgforeman {

void Slot::begin_child(std::uint32_t its_epoch, TimePoint now, Millis boot_timeout) {
  epoch.store(its_epoch);
  connected.store(0);
  message_id.store(0);
  reached_limit.store(0);
  batch.store(0);
  awaits_wakeup.store(0);
  phase_since_ms.store(to_ms(now));
  beat.store(Beat::make(Phase::booting, now + boot_timeout).word);
}

void Slot::end_child(TimePoint now, bool recycled) {
  beat.store(0);
  connected.store(0);
  lost_session_ms.store(recycled ? to_ms(now) : 0);
  message_id.store(0);
}

void Slot::enter(Phase phase, TimePoint now, Millis limit) {
  phase_since_ms.store(to_ms(now), std::memory_order_relaxed);
  beat.store(Beat::make(phase, now + limit).word);
  // A child that finds work at once never waits; running counts as healthy too.
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
