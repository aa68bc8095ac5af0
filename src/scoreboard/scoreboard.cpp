#include "scoreboard/scoreboard.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "scoreboard/handler_bounds.h"

namespace pgforeman {

Scoreboard::Scoreboard() {
  void* memory = ::mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  // The kernel's zero pages are the initial state of every atomic; constructing would touch (and
  // so allocate) all of them.
  memory_ = static_cast<Memory*>(memory);
}

Scoreboard::~Scoreboard() {
  ::munmap(memory_, sizeof(Memory));
}

void SlotWriter::enter(Phase phase, TimePoint now, Millis limit) {
  slot_.phase_since_ms.store(to_ms(now), std::memory_order_relaxed);
  slot_.beat.store(Beat::make(phase, now + limit).word);
  // One that finds a full queue runs before it ever waits: it got as far as one that found none.
  if (phase == Phase::waiting || phase == Phase::running) {
    slot_.waiting_epoch.store(slot_.epoch.load(std::memory_order_relaxed));
  }
}

void SlotWriter::set_connected(bool connected) {
  if (slot_.connected.exchange(connected ? 1 : 0) == 1 && !connected) {
    slot_.lost_session_ms.store(to_ms(Clock::now()));
  }
}

void SlotWriter::set_message(std::int64_t id, int attempt) {
  slot_.attempt.store(static_cast<std::uint32_t>(attempt), std::memory_order_relaxed);
  slot_.message_id.store(id);
}

void SlotWriter::count_handler_time(Clock::duration took) {
  const double seconds = std::chrono::duration<double>(took).count();
  const auto* bound =
      std::lower_bound(kHandlerSecondsBounds.begin(), kHandlerSecondsBounds.end(), seconds);
  const auto bucket = static_cast<std::size_t>(bound - kHandlerSecondsBounds.begin());
  slot_.handler_buckets[bucket].fetch_add(1, std::memory_order_relaxed);
  slot_.handler_us_sum.fetch_add(
      static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(took).count()),
      std::memory_order_relaxed);
}

}  // namespace pgforeman
