#include "fleet/marks.h"

#include <algorithm>

namespace pgforeman {
namespace {

/// Marks expire this long after a sweep. Maintenance sweeps, if needed, at least every 1.2 s.
constexpr Millis kPatience{3000};

}  // namespace

Marks LowWaterMarks::for_claim(TimePoint now) const {
  const auto swept = swept_at_ms_.load();
  const auto now_ms = to_ms(now);
  return swept > now_ms - kPatience.count() && swept <= now_ms ? read() : Marks{};
}

Marks LowWaterMarks::read() const {
  Marks marks;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    marks[i] = std::clamp<std::int64_t>(numbers_[i].load(), 0, kMaxNumber);
  }
  return marks;
}

void LowWaterMarks::raise(std::span<const ClaimedMessage> messages) {
  for (const ClaimedMessage& message : messages) {
    const std::size_t lane = lane_of(message.place);
    if (lane < kLanes) raise(lane, number_of(message.place));
  }
}

void LowWaterMarks::raise(std::size_t lane, std::int64_t number) {
  auto& mark = numbers_[lane];
  auto seen = mark.load();
  while (seen < number && !mark.compare_exchange_weak(seen, number)) {
  }
}

void LowWaterMarks::forget(std::size_t lane, std::int64_t mark) {
  numbers_[lane].compare_exchange_strong(mark, 0);
}

}  // namespace pgforeman
