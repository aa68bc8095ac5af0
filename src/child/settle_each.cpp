#include "child/settle_each.h"

#include "base/clock.h"
#include "base/log.h"

namespace pgforeman {
namespace {

// A locked row costs 200 ms: settle's own lock_timeout.
constexpr Millis kPatience{500};

bool is_refused(const DatabaseError& error) {
  return error.kind() == DatabaseError::Kind::rejected;
}

bool may_work_later(const DatabaseError& error) {
  return error.kind() == DatabaseError::Kind::locked ||
         error.kind() == DatabaseError::Kind::transient;
}

Telling tell(Queue& queue, const Settlement& settlement, const RetryRule& rule) {
  try {
    return {queue.settle({&settlement, 1}, rule).front()};
  } catch (const DatabaseError& error) {
    if (may_work_later(error)) return {{}, true};
    if (!is_refused(error)) throw;
    const log::MessageScope scope(settlement.lease.id, 0);
    log::error("message not settled, it waits for VISIBILITY_TIMEOUT", {{"reason", error.what()}});
    return {};
  }
}

}  // namespace

std::vector<Telling> settle_each(Queue& queue, std::span<const Settlement> settlements,
                                 const RetryRule& rule) {
  std::vector<Telling> tellings(settlements.size());
  try {
    const auto settled = queue.settle(settlements, rule);
    for (std::size_t i = 0; i < settled.size(); ++i) tellings[i].settled = settled[i];
    return tellings;
  } catch (const DatabaseError& error) {
    if (!is_refused(error) && error.kind() != DatabaseError::Kind::locked) throw;
  }
  const TimePoint until = Clock::now() + kPatience;
  // Where many are locked each call begins with others.
  const auto first = static_cast<std::size_t>(to_ms(until)) % settlements.size();
  for (std::size_t n = 0; n < settlements.size(); ++n) {
    const std::size_t i = (first + n) % settlements.size();
    tellings[i] = Clock::now() < until ? tell(queue, settlements[i], rule) : Telling{{}, true};
  }
  return tellings;
}

}  // namespace pgforeman
