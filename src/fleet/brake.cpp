#include "fleet/brake.h"

#include <algorithm>

namespace pgforeman {
namespace {

constexpr Millis kLongest{60'000};
// The longest interval once a run of the program has succeeded: the failing messages may be bad
// ones that stand before good ones.
constexpr Millis kLongestIfWorked{2'000};
constexpr std::int64_t kTimesInterval = 16;
// 10 min if RETRY_BACKOFF is 1 s.
constexpr std::int64_t kTimesBackoff = 600;
constexpr Millis kLongestDelay{600'000};
constexpr Millis kShortestStreak{5000};

}  // namespace

bool Brake::take_probe(TimePoint now) {
  auto at = board_.probe_at_ms.load();
  if (from_ms(at) > now && from_ms(at) <= now + kLongest) return false;
  return board_.probe_at_ms.compare_exchange_strong(at, to_ms(now + kLongest));
}

void Brake::give_back(TimePoint now) {
  if (is_current()) board_.probe_at_ms.store(to_ms(now));
}

TimePoint Brake::next_probe(TimePoint now) const {
  return std::min(from_ms(board_.probe_at_ms.load()), now + kLongest);
}

Millis Brake::interval() const {
  return std::clamp(Millis{board_.interval_ms.load()}, Millis{1}, kLongest);
}

bool Brake::failed(std::int64_t id, bool probe, TimePoint now) {
  if (!is_current()) return false;
  started();
  if (board_.failed_runs.fetch_add(1) == 0) board_.failing_since_ms.store(to_ms(now));
  record_id(id);
  if (is_on()) {
    if (probe) lengthen(now);
    return false;
  }
  // proves: P77 pace
  return every_run_fails(now) && engage(std::min(backoff_, kLongest), now);
}

void Brake::probe_not_started(TimePoint now) {
  if (is_on()) lengthen(now);
}

bool Brake::succeeded() {
  if (!is_current()) return false;
  // Writes only what changes: all consumers share these words.
  if (board_.worked.load() != 1) board_.worked.store(1);
  started();
  if (board_.failed_runs.load() == 0 && board_.braking.load() == 0) return false;
  board_.failed_runs.store(0);
  for (auto& failed : board_.failed_ids) failed.store(0);
  return board_.braking.exchange(0) == 1;
}

void Brake::started() {
  if (board_.start.load() != StartState::started) board_.start.store(StartState::started);
}

/// True if runs of several messages failed in a row; one failing message says nothing about others.
/// If a run has succeeded before, at least 10 runs must fail over at least 5 s: bad messages may
/// follow each other.
bool Brake::every_run_fails(TimePoint now) const {
  const auto runs = board_.failed_runs.load();
  const auto messages = std::count_if(board_.failed_ids.begin(), board_.failed_ids.end(),
                                      [](const auto& id) { return id.load() != 0; });
  if (board_.worked.load() != 1) return messages >= 3 || (messages == 2 && runs >= 6);
  const TimePoint since = from_ms(board_.failing_since_ms.load());
  return messages >= 2 && runs >= 10 && (since > now || now - since >= kShortestStreak);
}

void Brake::record_id(std::int64_t id) {
  for (auto& known : board_.failed_ids) {
    std::int64_t none = 0;
    if (known.load() == id || known.compare_exchange_strong(none, id)) return;
  }
}

bool Brake::engage(Millis interval, TimePoint now) {
  board_.interval_ms.store(interval.count());
  board_.probe_at_ms.store(to_ms(now + interval));
  return board_.braking.exchange(1) == 0;
}

void Brake::lengthen(TimePoint now) {
  const Millis most = board_.worked.load() == 1 ? kLongestIfWorked : kLongest;
  const Millis next = std::min(2 * interval(), most);
  board_.interval_ms.store(next.count());
  board_.probe_at_ms.store(to_ms(now + next));
}

Millis Brake::delay(const Outcome& outcome, int attempt) const {
  const Millis longest = std::min(kTimesBackoff * backoff_, kLongestDelay);
  const bool last_but_one = outcome.kind == Outcome::Kind::crash || attempt + 1 >= max_attempts_;
  // With a shorter wait failed messages would run again before the probes reach the others.
  const bool longest_wait = last_but_one || board_.worked.load() == 1;
  return longest_wait ? longest : std::min(kTimesInterval * interval(), longest);
}

}  // namespace pgforeman
