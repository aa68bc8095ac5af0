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
  // The kernel's zero pages are the initial state of every atomic. Constructors would touch, and so
  // allocate, all pages.
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

}  // namespace pgforeman
