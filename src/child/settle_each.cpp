#include "child/settle_each.h"

#include <algorithm>
#include <deque>
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

/// Whether one of several messages may be the reason. (A trigger can raise any error.)
bool may_be_of_one(const DatabaseError& error, TimePoint asked_at) {
  if (is_refused(error) || error.kind() == DatabaseError::Kind::locked) return true;
  // What took long is likely to take as long again.
  return error.may_work_later() && Clock::now() - asked_at < kPatience;
}

Telling tell(Queue& queue, const Settlement& settlement, const RetryRule& rule) {
  try {
    return {queue.settle({&settlement, 1}, rule).front()};
  } catch (const DatabaseError& error) {
    if (error.kind() == DatabaseError::Kind::locked) return kLocked;
    if (!error.may_work_later() && !is_refused(error)) throw;
    const log::MessageScope scope(settlement.lease.id, 0);
    if (error.may_work_later()) {
      log::warn("message not settled yet, the database failed to", {{"reason", error.what()}});
      return {{}, true, true};
    }
    log::error("message not settled, it waits for VISIBILITY_TIMEOUT", {{"reason", error.what()}});
    return {};
  }
}

/// One call for all: nothing when a row is locked or one message may be why it failed.
std::optional<std::vector<Telling>> try_all(Queue& queue, std::span<const Settlement> settlements,
                                            const RetryRule& rule) {
  const TimePoint asked_at = Clock::now();
  try {
    std::vector<Telling> tellings;
    for (const Settled settled : queue.settle(settlements, rule)) tellings.push_back({settled});
    return tellings;
  } catch (const DatabaseError& error) {
    if (!may_be_of_one(error, asked_at)) throw;
    return {};
  }
}

/// Neighbours in what is to be settled.
struct Part {
  std::size_t first;
  std::size_t count;
};

/// Of what could not be told all at once: halves, then their halves, until who is refused stands
/// alone. What there is no time for stays locked.
std::vector<Telling> tell_apart(Queue& queue, std::span<const Settlement> settlements,
                                const RetryRule& rule) {
  const TimePoint until = Clock::now() + kPatience;
  std::vector<Telling> tellings(settlements.size(), kLocked);
  bool told = false;
  std::deque<Part> parts;  // the larger ones first: most of them work
  const auto halve = [&](const Part& part) {
    const std::size_t half = part.count / 2;
    if (half > 0) parts.push_back({part.first, half});
    parts.push_back({part.first + half, part.count - half});
  };
  const auto tell_one = [&](std::size_t i) {
    tellings[i] = tell(queue, settlements[i], rule);
    told = told || !tellings[i].locked;
  };
  halve({0, settlements.size()});
  while (!parts.empty() && Clock::now() < until) {
    const Part part = parts.front();
    parts.pop_front();
    try {
      if (part.count == 1) {
        tell_one(part.first);
      } else if (const auto all =
                     try_all(queue, settlements.subspan(part.first, part.count), rule)) {
        std::copy(all->begin(), all->end(), &tellings[part.first]);
        told = true;
      } else {
        halve(part);
      }
    } catch (const DatabaseError& error) {
      if (error.kind() == DatabaseError::Kind::connection) throw;  // who knows what it did
      if (!error.may_work_later()) return tellings;  // what was told counts; the next call throws
      halve(part);
    }
  }
  // Where most are refused, each call gets on nevertheless, and not always with the same one.
  if (!told) tell_one(static_cast<std::size_t>(to_ms(until)) % settlements.size());
  return tellings;
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
    if (!error.may_work_later()) throw;
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
  std::optional<std::vector<Telling>> told;
  if (free.size() < settlements.size()) told = try_all(queue, some, rule);
  if (!told) told = tell_apart(queue, some, rule);
  for (std::size_t i = 0; i < free.size(); ++i) tellings[free[i]] = (*told)[i];
  return tellings;
}

}  // namespace pgforeman
