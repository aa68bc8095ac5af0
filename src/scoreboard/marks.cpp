#include "scoreboard/marks.h"

#include <algorithm>

namespace pgforeman {
namespace {

/// Without a sweep for so long consumers look for themselves. Maintenance sweeps, or finds that
/// there is no need to, at least every 1.2 s.
constexpr Millis kPatience{3000};

}  // namespace

Marks marks_for_claim(const FleetBoard& board, TimePoint now) {
  const auto swept = board.swept_at_ms.load();
  const auto now_ms = to_ms(now);
  if (swept <= now_ms - kPatience.count() || swept > now_ms) return {};
  return read_marks(board);
}

void raise_marks(FleetBoard& board, std::span<const Message> messages) {
  for (const Message& message : messages) {
    const auto priority = static_cast<std::size_t>(message.lane / 2);
    if (message.lane % 2 == 0 || priority >= board.marks.size()) continue;
    auto& mark = board.marks[priority];
    auto seen = mark.load();
    while (seen < message.lease.id && !mark.compare_exchange_weak(seen, message.lease.id)) {
    }
  }
}

Marks read_marks(const FleetBoard& board) {
  Marks marks;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    marks[i] = std::max<std::int64_t>(0, board.marks[i].load());
  }
  return marks;
}

void note_sweep(FleetBoard& board, TimePoint now) {
  board.swept_at_ms.store(to_ms(now));
}

void forget_mark(FleetBoard& board, std::size_t priority, std::int64_t mark) {
  board.marks[priority].compare_exchange_strong(mark, 0);
}

}  // namespace pgforeman
