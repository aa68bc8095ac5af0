#include "process/settle_each.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <optional>
#include <utility>

#include "process/in_halves.h"
#include "system/clock.h"
#include "system/log.h"

namespace pgforeman {
namespace {

using Kind = DatabaseError::Kind;

// More than twice settle's lock_timeout: a call that waits for a lock fails after 200 ms.
constexpr Millis kPatience{500};

/// True if one of several messages may be the reason. (A trigger can raise any error.)
bool may_be_of_one(const DatabaseError& error, TimePoint asked_at) {
  if (error.kind() == Kind::rejected || error.kind() == Kind::locked) return true;
  // A call that took long is likely to take as long again.
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

/// Settles all in one call. Nothing if it failed, perhaps because of one message.
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

/// Settles halves, then their halves. Messages that time is too short for are left as `not_tried`.
void settle_parts(Queue& queue, std::span<const Settlement> settlements, const RetryRule& rule,
                  std::vector<Settled>& settled) {
  const TimePoint began = Clock::now();
  bool any = false;
  in_halves(settlements.size(), [&](const Part& part) {
    if (part.count == 1) {
      settled[part.first] = settle_one(queue, settlements[part.first], rule, RowLocks::skip);
      return any = true;
    }
    const auto all =
        try_all(queue, settlements.subspan(part.first, part.count), rule, RowLocks::skip);
    if (!all) return false;
    std::copy(all->begin(), all->end(), &settled[part.first]);
    return any = true;
  });
  if (any) return;
  // Each call took long: settles at least one message, and not always the same.
  const auto i = static_cast<std::size_t>(to_ms(began)) % settlements.size();
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
    // Keeps what was settled; the next call throws this again.
  }
  return settled;
}

void count_settled(Slot& slot, Settled settled) {
  static_assert(static_cast<int>(Settled::lost_lease) == 4, "in the order of Settled");
  constexpr std::atomic<std::uint64_t> Slot::*kCounters[] = {&Slot::done, &Slot::retry, &Slot::dead,
                                                             &Slot::released, &Slot::lost_lease};
  const auto i = static_cast<std::size_t>(settled);
  if (i < std::size(kCounters)) (slot.*kCounters[i]).fetch_add(1);
}

}  // namespace pgforeman
