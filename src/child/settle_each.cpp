#include "child/settle_each.h"

#include <algorithm>
#include <utility>

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

std::vector<Telling> one_by_one(Queue& queue, std::span<const Settlement> settlements,
                                const RetryRule& rule) {
  const TimePoint until = Clock::now() + kPatience;
  std::vector<Telling> tellings;
  for (const Settlement& settlement : settlements) {
    tellings.push_back(Clock::now() < until ? tell(queue, settlement, rule) : Telling{{}, true});
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

/// Indexes of those whose rows nobody has locked.
std::vector<std::size_t> free_of_locks(Queue& queue, std::span<const Settlement> settlements,
                                       Millis lease) {
  std::vector<Lease> leases;
  for (const Settlement& settlement : settlements) leases.push_back(settlement.lease);
  const auto locked = queue.renew(leases, lease).locked;
  std::vector<std::size_t> free;
  for (std::size_t i = 0; i < leases.size(); ++i) {
    if (std::find(locked.begin(), locked.end(), leases[i].id) == locked.end()) free.push_back(i);
  }
  return free;
}

}  // namespace

std::vector<Telling> settle_each(Queue& queue, std::span<const Settlement> settlements,
                                 const RetryRule& rule, Millis lease) {
  Answer answer = try_all(queue, settlements, rule);
  if (answer.tellings) return std::move(*answer.tellings);
  if (!answer.locked) return one_by_one(queue, settlements, rule);

  // A renewal waits for no lock, and says whose rows are locked.
  std::vector<Telling> tellings(settlements.size(), Telling{{}, true});
  const auto free = free_of_locks(queue, settlements, lease);
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
