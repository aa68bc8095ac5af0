#include "scoreboard/marks.h"

#include <algorithm>
#include <limits>

namespace pgforeman {
namespace {

/// Without a sweep for so long consumers look for themselves. Maintenance sweeps, or finds that
/// there is no need to, at least every 1.2 s.
constexpr Millis kPatience{3000};
/// Claims under way do not reach farther; something else stands there.
constexpr std::int64_t kFarthest = 1'000'000;
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() - 2 * kFarthest;
/// Whoever claims less often is in nobody's way. Not less: with hundreds of children on few
/// processors claims take tens of milliseconds, and when all then begin at the marks, ever longer.
constexpr Millis kPlentyFor{200};
constexpr Millis kTurn{5};

}  // namespace

Marks marks_for_claim(const FleetBoard& board, TimePoint now) {
  const auto swept = board.swept_at_ms.load();
  const auto now_ms = to_ms(now);
  if (swept <= now_ms - kPatience.count() || swept > now_ms) return {};
  return read_marks(board);
}

std::optional<std::size_t> begin_apart(FleetBoard& board, Marks& marks, int wanted, TimePoint now) {
  const auto now_ms = to_ms(now);
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const auto plenty_at = board.plenty_at_ms[i].load();
    if (marks[i] <= 0 || marks[i] > kMost || plenty_at > now_ms ||
        plenty_at <= now_ms - kPlentyFor.count())
      continue;
    auto& taken = board.taken[i];
    auto seen = taken.load();
    std::int64_t begin = 0;
    bool goes_on = false;
    do {
      goes_on = seen > marks[i] && seen - marks[i] < kFarthest;
      begin = goes_on ? seen : marks[i];
    } while (!taken.compare_exchange_weak(seen, begin + wanted));
    if (!goes_on) board.apart_from[i].store(begin);
    marks[i] = begin;
    return i;
  }
  return std::nullopt;
}

void note_plenty(FleetBoard& board, std::size_t priority, TimePoint now) {
  const auto before = board.plenty_at_ms[priority].exchange(to_ms(now));
  // Whoever took what was counted then has long come to an end.
  if (before <= to_ms(now) - kPlentyFor.count()) board.taken[priority].store(0);
}

void note_beside(FleetBoard& board, std::span<const Message> messages) {
  for (std::size_t i = 0; i < board.taken.size(); ++i) {
    if (board.taken[i].load() == 0) continue;
    const auto from = board.apart_from[i].load();
    const auto beside =
        std::count_if(messages.begin(), messages.end(), [&](const Message& message) {
          return message.lane == 2 * static_cast<int>(i) + 1 && message.lease.id > from;
        });
    if (beside > 0) board.taken[i].fetch_add(beside);
  }
}

void note_end(FleetBoard& board, std::size_t priority) {
  board.plenty_at_ms[priority].store(0);
  board.taken[priority].store(0);
}

bool take_turn(FleetBoard& board, TimePoint now) {
  auto until = board.turn_until_ms.load();
  const bool taken = until > to_ms(now) && until <= to_ms(now + kTurn);
  return !taken && board.turn_until_ms.compare_exchange_strong(until, to_ms(now + kTurn));
}

void end_turn(FleetBoard& board) {
  board.turn_until_ms.store(0);
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
