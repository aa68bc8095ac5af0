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
    marks[i] = std::max<std::int64_t>(0, ids_[i].load());
  }
  return marks;
}

void LowWaterMarks::raise(std::span<const ClaimedMessage> messages) {
  for (const ClaimedMessage& message : messages) {
    const auto priority = static_cast<std::size_t>(message.lane / 2);
    if (message.lane % 2 == 0 || priority >= ids_.size()) continue;
    auto& mark = ids_[priority];
    auto seen = mark.load();
    while (seen < message.id && !mark.compare_exchange_weak(seen, message.id)) {
    }
  }
}

void LowWaterMarks::forget(std::size_t priority, std::int64_t mark) {
  ids_[priority].compare_exchange_strong(mark, 0);
}

}  // namespace pgforeman
