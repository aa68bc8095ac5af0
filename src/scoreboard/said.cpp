#include "scoreboard/said.h"

#include <functional>

namespace pgforeman {
namespace {

constexpr std::int64_t kSayAgainSeconds = 60;

}  // namespace

bool says_first(FleetBoard& board, std::string_view reason, TimePoint now) {
  const std::uint64_t hash = std::hash<std::string_view>{}(reason);
  const auto seconds = static_cast<std::uint32_t>(to_ms(now) / 1000);
  auto& said = board.said[hash % board.said.size()];
  auto last = said.load();
  do {
    const auto ago = static_cast<std::int64_t>(seconds) - static_cast<std::uint32_t>(last);
    if (last >> 32U == hash >> 32U && ago >= 0 && ago < kSayAgainSeconds) return false;
  } while (!said.compare_exchange_weak(last, (hash >> 32U << 32U) | seconds));
  return true;
}

}  // namespace pgforeman
