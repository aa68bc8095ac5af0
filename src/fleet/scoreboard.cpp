#include "fleet/scoreboard.h"

#include <sys/mman.h>

#include <algorithm>
#include <functional>
#include <new>

namespace pgforeman {
namespace {

constexpr std::int64_t kLogAgainSeconds = 60;

}  // namespace

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

bool FleetBoard::should_log(std::string_view reason, TimePoint now) {
  const std::uint64_t hash = std::hash<std::string_view>{}(reason);
  const auto seconds = static_cast<std::uint32_t>(to_ms(now) / 1000);
  auto& word = logged[hash % logged.size()];
  auto last = word.load();
  do {
    const auto ago = static_cast<std::int64_t>(seconds) - static_cast<std::uint32_t>(last);
    if (last >> 32U == hash >> 32U && ago >= 0 && ago < kLogAgainSeconds) return false;
  } while (!word.compare_exchange_weak(last, (hash >> 32U << 32U) | seconds));
  return true;
}

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
