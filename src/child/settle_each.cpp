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

/// One call for all: nothing when a row is locked or the database refuses one.
std::optional<std::vector<Telling>> try_all(Queue& queue, std::span<const Settlement> settlements,
                                            const RetryRule& rule) {
  try {
    std::vector<Telling> tellings;
    for (const Settled settled : queue.settle(settlements, rule)) tellings.push_back({settled});
    return tellings;
  } catch (const DatabaseError& error) {
    if (error.kind() != DatabaseError::Kind::locked && !is_refused(error)) throw;
    return {};
  }
}

/// Halves and their halves, until who is refused stands alone. `tellings` are of what is not told
/// yet: so stays what there is no time for.
void tell_apart(Queue& queue, std::span<const Settlement> settlements, const RetryRule& rule,
                TimePoint until, std::span<Telling> tellings) {
  if (Clock::now() >= until) return;
  if (settlements.size() == 1) {
    tellings[0] = tell(queue, settlements[0], rule);
    return;
  }
  try {
    if (const auto all = try_all(queue, settlements, rule)) {
      std::copy(all->begin(), all->end(), tellings.begin());
      return;
    }
  } catch (const DatabaseError& error) {
    if (!may_work_later(error)) throw;
    return;
  }
  const std::size_t half = settlements.size() / 2;
  tell_apart(queue, settlements.first(half), rule, until, tellings.first(half));
  tell_apart(queue, settlements.subspan(half), rule, until, tellings.subspan(half));
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
  if (auto all = try_all(queue, settlements, rule)) return std::move(*all);
  std::vector<Telling> tellings(settlements.size(), kLocked);
  const auto free = free_of_locks(queue, settlements);
  if (free.empty()) return tellings;
  std::vector<Settlement> some;
  some.reserve(free.size());
  for (const std::size_t i : free) some.push_back(settlements[i]);
  std::vector<Telling> told(some.size(), kLocked);
  tell_apart(queue, some, rule, Clock::now() + kPatience, told);
  for (std::size_t i = 0; i < free.size(); ++i) tellings[free[i]] = told[i];
  return tellings;
}

}  // namespace pgforeman
