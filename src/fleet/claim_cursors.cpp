#include "fleet/claim_cursors.h"

#include <algorithm>
#include <limits>

namespace pgforeman {
namespace {

/// Open claims reserve at most this many numbers above a mark; a cursor farther away is garbage.
constexpr std::int64_t kFarthest = 1'000'000;
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() - 2 * kFarthest;
/// With hundreds of children on few processors a claim takes tens of milliseconds. After a shorter
/// time all claims would begin at the marks again, and take ever longer.
constexpr Millis kPlentyFor{200};
constexpr Millis kTurn{5};

}  // namespace

std::optional<std::size_t> ClaimCursors::reserve(Marks& marks, int wanted, TimePoint now) {
  const auto now_ms = to_ms(now);
  for (std::size_t i = 0; i < marks.size(); ++i) {
    Cursor& cursor = cursors_[i];
    const auto plenty_at = cursor.plenty_at_ms.load();
    if (marks[i] <= 0 || marks[i] > kMost || plenty_at > now_ms ||
        plenty_at <= now_ms - kPlentyFor.count())
      continue;
    auto seen = cursor.upto.load();
    std::int64_t begin = 0;
    bool goes_on = false;
    do {
      goes_on = seen > marks[i] && seen - marks[i] < kFarthest;
      begin = goes_on ? seen : marks[i];
    } while (!cursor.upto.compare_exchange_weak(seen, begin + wanted));
    if (!goes_on) cursor.from.store(begin);
    marks[i] = begin;
    return i;
  }
  return std::nullopt;
}

void ClaimCursors::record_plenty(std::size_t lane, TimePoint now) {
  const auto before = cursors_[lane].plenty_at_ms.exchange(to_ms(now));
  // All claims with reservations from that time have ended.
  if (before <= to_ms(now) - kPlentyFor.count()) cursors_[lane].upto.store(0);
}

void ClaimCursors::advance_past(std::span<const ClaimedMessage> messages) {
  for (std::size_t i = 0; i < cursors_.size(); ++i) {
    if (cursors_[i].upto.load() == 0) continue;
    const auto from = cursors_[i].from.load();
    const auto beside =
        std::count_if(messages.begin(), messages.end(), [&](const ClaimedMessage& message) {
          return lane_of(message.place) == i && number_of(message.place) > from;
        });
    if (beside > 0) cursors_[i].upto.fetch_add(beside);
  }
}

void ClaimCursors::record_exhausted(std::size_t lane) {
  cursors_[lane].plenty_at_ms.store(0);
  cursors_[lane].upto.store(0);
}

bool ClaimCursors::take_turn(TimePoint now) {
  auto until = turn_until_ms_.load();
  const bool taken = until > to_ms(now) && until <= to_ms(now + kTurn);
  return !taken && turn_until_ms_.compare_exchange_strong(until, to_ms(now + kTurn));
}

}  // namespace pgforeman
