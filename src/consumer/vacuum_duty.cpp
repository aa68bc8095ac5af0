#include "consumer/vacuum_duty.h"

#include <algorithm>

#include "system/log.h"

namespace pgforeman {
namespace {

constexpr std::uint64_t kMessages = 10'000;
constexpr Millis kBetween{5000};
// While a snapshot is held, a vacuum reads much and cleans nothing.
constexpr int kRest = 20;
constexpr Millis kAfterFailure{60'000};
// How long to wait if the role may not vacuum: the right may be granted meanwhile. Also the most
// that the shared word may be ahead of now.
constexpr Millis kLatest{600'000};

}  // namespace

void VacuumDuty::count(std::size_t messages) {
  board_.settled.fetch_add(messages, std::memory_order_relaxed);
}

bool VacuumDuty::take(TimePoint now) {
  if (board_.settled.load(std::memory_order_relaxed) < kMessages) return false;
  auto next = board_.at_ms.load();
  if (to_ms(now) < next && next <= to_ms(now + 2 * kLatest)) return false;
  // Skips the first vacuum of a burst that may be over within 5 s.
  const bool just_begun = next < to_ms(now - kBetween) &&
                          board_.settled.load(std::memory_order_relaxed) < 2 * kMessages;
  const TimePoint then = now + (just_begun ? kBetween : kAfterFailure);
  return board_.at_ms.compare_exchange_strong(next, to_ms(then)) && !just_begun;
}

void VacuumDuty::run(Queue& queue) {
  const TimePoint began = Clock::now();
  try {
    loop_.enter(Phase::settling);
    const std::optional<Millis> due = queue.vacuum_due(kBetween);
    if (!due) {
      log::info("the queue's table is left to autovacuum: only its owner may vacuum it");
      return rest(kLatest);
    }
    if (*due > Millis(0)) return rest(*due);
    loop_.enter(Phase::settling);
    queue.vacuum();
    board_.settled.store(0, std::memory_order_relaxed);
  } catch (const DatabaseError& error) {
    rest(std::max<Clock::duration>(kAfterFailure, kRest * (Clock::now() - began)));
    if (error.kind() == DatabaseError::Kind::connection) throw;
    log::debug("the queue's table was not vacuumed", {{"reason", error.what()}});
    return;
  }
  const auto took = Clock::now() - began;
  rest(std::max<Clock::duration>(kBetween, kRest * took));
  log::debug("the queue's table was vacuumed",
             {{"seconds", std::chrono::duration<double>(took).count()}});
}

void VacuumDuty::rest(Clock::duration time) {
  board_.at_ms.store(to_ms(Clock::now() + std::min<Clock::duration>(time, kLatest)));
}

}  // namespace pgforeman
