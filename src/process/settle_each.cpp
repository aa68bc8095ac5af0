#include "process/settle_each.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "system/clock.h"
#include "system/log.h"

namespace pgforeman {
namespace {

using Kind = DatabaseError::Kind;

// A lock on the only row of a call costs 200 ms: settle's own lock_timeout.
constexpr Millis kPatience{500};

/// Whether one of several messages may be the reason. (A trigger can raise any error.)
bool may_be_of_one(const DatabaseError& error, TimePoint asked_at) {
  if (error.kind() == Kind::rejected || error.kind() == Kind::locked) return true;
  // What took long is likely to take as long again.
  return error.may_work_later() && Clock::now() - asked_at < kPatience;
}

Settled settle_one(Queue& queue, const Settlement& settlement, const RetryRule& rule,
                   RowLocks locks) {
  try {
    return queue.settle({&settlement, 1}, rule, locks).front();
  } catch (const DatabaseError& error) {
    if (error.kind() == Kind::locked) return Settled::locked;
    if (!error.may_work_later() && error.kind() != Kind::rejected) throw;
    const log::MessageScope scope(settlement.lease.id, 0);
    if (error.may_work_later()) {
      log::warn("message not settled yet, the database failed to", {{"reason", error.what()}});
      return Settled::failed;
    }
    log::error("message not settled, it waits for VISIBILITY_TIMEOUT", {{"reason", error.what()}});
    return Settled::refused;
  }
}

/// One call for all; nothing when one message may be why it failed.
std::optional<std::vector<Settled>> try_all(Queue& queue, std::span<const Settlement> settlements,
                                            const RetryRule& rule, RowLocks locks) {
  const TimePoint asked_at = Clock::now();
  try {
    return queue.settle(settlements, rule, locks);
  } catch (const DatabaseError& error) {
    if (error.kind() == Kind::locked && locks == RowLocks::wait) {
      return try_all(queue, settlements, rule, RowLocks::skip);
    }
    if (!may_be_of_one(error, asked_at)) throw;
    return std::nullopt;
  }
}

/// Neighbours in what is to be settled.
struct Part {
  std::size_t first;
  std::size_t count;
};

/// Settles halves, then their halves, until the refused message stands alone: some 20 calls for one
/// of 1,000. The larger ones first, as most of them work. What there is no time for is `not_tried`.
void settle_parts(Queue& queue, std::span<const Settlement> settlements, const RetryRule& rule,
                  std::vector<Settled>& settled) {
  const TimePoint until = Clock::now() + kPatience;
  std::deque<Part> parts;
  const auto halve = [&](const Part& part) {
    const std::size_t half = part.count / 2;
    parts.push_back({part.first, half});
    parts.push_back({part.first + half, part.count - half});
  };
  halve({0, settlements.size()});
  bool any = false;
  for (; !parts.empty() && Clock::now() < until; parts.pop_front()) {
    const Part part = parts.front();
    if (part.count == 1) {
      settled[part.first] = settle_one(queue, settlements[part.first], rule, RowLocks::skip);
      any = true;
    } else if (const auto all = try_all(queue, settlements.subspan(part.first, part.count), rule,
                                        RowLocks::skip)) {
      std::copy(all->begin(), all->end(), &settled[part.first]);
      any = true;
    } else {
      halve(part);
    }
  }
  if (any) return;
  // Each call took long: one message at least, and not always the same.
  const auto i = static_cast<std::size_t>(to_ms(until)) % settlements.size();
  settled[i] = settle_one(queue, settlements[i], rule, RowLocks::skip);
}

}  // namespace

std::vector<Settled> settle_each(Queue& queue, std::span<const Settlement> settlements,
                                 const RetryRule& rule) {
  if (settlements.size() == 1) {
    return {settle_one(queue, settlements.front(), rule, RowLocks::wait)};
  }
  if (auto all = try_all(queue, settlements, rule, RowLocks::wait)) return std::move(*all);
  std::vector<Settled> settled(settlements.size(), Settled::not_tried);
  try {
    settle_parts(queue, settlements, rule, settled);
  } catch (const DatabaseError& error) {
    if (error.kind() == Kind::connection) throw;  // what it did is unknown
    // What was settled counts; the next call throws this again.
  }
  return settled;
}

}  // namespace pgforeman
