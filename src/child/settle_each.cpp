#include "child/settle_each.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"

namespace pgforeman {
namespace {

// A locked row costs 200 ms: settle's own lock_timeout.
constexpr Millis kPatience{500};
constexpr Telling kLocked{{}, true};

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
    if (may_work_later(error)) return kLocked;
    if (!is_refused(error)) throw;
    const log::MessageScope scope(settlement.lease.id, 0);
    log::error("message not settled, it waits for VISIBILITY_TIMEOUT", {{"reason", error.what()}});
    return {};
  }
}

std::vector<Telling> one_by_one(Queue& queue, std::span<const Settlement> settlements,
                                const RetryRule& rule) {
  const TimePoint until = Clock::now() + kPatience;
  std::vector<Telling> tellings(settlements.size(), kLocked);
  // Where many are locked each call begins with others.
  const auto first = static_cast<std::size_t>(to_ms(until)) % settlements.size();
  for (std::size_t n = 0; n < settlements.size() && Clock::now() < until; ++n) {
    const std::size_t i = (first + n) % settlements.size();
    tellings[i] = tell(queue, settlements[i], rule);
  }
  return tellings;
}

/// Of one call for all: no tellings when the database refused it.
struct Answer {
  std::optional<std::vector<Telling>> tellings;
  bool locked = false;  ///< for a lock
};

Answer try_all(Queue& queue, std::span<const Settlement> settlements, const RetryRule& rule) {
  try {
    std::vector<Telling> tellings;
    for (const Settled settled : queue.settle(settlements, rule)) tellings.push_back({settled});
    return {std::move(tellings)};
  } catch (const DatabaseError& error) {
    const bool locked = error.kind() == DatabaseError::Kind::locked;
    if (!locked && !is_refused(error)) throw;
    return {{}, locked};
  }
}

/// Indexes of those whose rows nobody has locked: none when the whole table is, for writers of rows
/// and who locks them. (`create index` lets rows be locked: then the next call is refused as well.)
std::vector<std::size_t> free_of_locks(Queue& queue, std::span<const Settlement> settlements) {
  std::vector<std::int64_t> ids;
  for (const Settlement& settlement : settlements) ids.push_back(settlement.lease.id);
  std::vector<std::size_t> free;
  try {
    const auto locked = queue.locked(ids);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (std::find(locked.begin(), locked.end(), ids[i]) == locked.end()) free.push_back(i);
    }
  } catch (const DatabaseError& error) {
    if (!may_work_later(error)) throw;
  }
  return free;
}

}  // namespace

std::vector<Telling> settle_each(Queue& queue, std::span<const Settlement> settlements,
                                 const RetryRule& rule) {
  Answer answer = try_all(queue, settlements, rule);
  if (answer.tellings) return std::move(*answer.tellings);
  if (!answer.locked) return one_by_one(queue, settlements, rule);

  std::vector<Telling> tellings(settlements.size(), kLocked);
  const auto free = free_of_locks(queue, settlements);
  if (free.empty()) return tellings;
  std::vector<Settlement> some;
  some.reserve(free.size());
  for (const std::size_t i : free) some.push_back(settlements[i]);
  answer = try_all(queue, some, rule);
  if (!answer.tellings) answer.tellings = one_by_one(queue, some, rule);
  for (std::size_t i = 0; i < free.size(); ++i) tellings[free[i]] = (*answer.tellings)[i];
  return tellings;
}

}  // namespace pgforeman
