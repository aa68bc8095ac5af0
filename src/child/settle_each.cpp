#include "child/settle_each.h"

#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/log.h"

namespace pgforeman {
namespace {

// A lock on the only row of a call costs 200 ms: settle's own lock_timeout.
constexpr Millis kPatience{500};

bool is_refused(const DatabaseError& error) {
  return error.kind() == DatabaseError::Kind::rejected;
}

/// Whether one of several messages may be the reason. (A trigger can raise any error.)
bool may_be_of_one(const DatabaseError& error, TimePoint asked_at) {
  if (is_refused(error) || error.kind() == DatabaseError::Kind::locked) return true;
  // What took long is likely to take as long again.
  return error.may_work_later() && Clock::now() - asked_at < kPatience;
}

Settled settle_one(Queue& queue, const Settlement& settlement, const RetryRule& rule) {
  try {
    return queue.settle({&settlement, 1}, rule).front();
  } catch (const DatabaseError& error) {
    if (error.kind() == DatabaseError::Kind::locked) return Settled::locked;
    if (!error.may_work_later() && !is_refused(error)) throw;
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
                                            const RetryRule& rule) {
  for (const RowLocks locks : {RowLocks::wait, RowLocks::skip}) {
    const TimePoint asked_at = Clock::now();
    try {
      return queue.settle(settlements, rule, locks);
    } catch (const DatabaseError& error) {
      if (error.kind() == DatabaseError::Kind::locked && locks == RowLocks::wait) continue;
      if (!may_be_of_one(error, asked_at)) throw;
      break;
    }
  }
  return std::nullopt;
}

/// One call for all that are done, which fail least: true when that settled them.
bool try_done(Queue& queue, std::span<const Settlement> settlements, const RetryRule& rule,
              std::vector<Settled>& settled) {
  std::vector<Settlement> done;
  std::vector<std::size_t> indexes;
  for (std::size_t i = 0; i < settlements.size(); ++i) {
    if (settlements[i].outcome.kind != Outcome::Kind::done) continue;
    done.push_back(settlements[i]);
    indexes.push_back(i);
  }
  if (done.empty() || done.size() == settlements.size()) return false;
  const auto all = try_all(queue, done, rule);
  if (!all) return false;
  for (std::size_t i = 0; i < indexes.size(); ++i) settled[indexes[i]] = (*all)[i];
  return true;
}

}  // namespace

std::vector<Settled> settle_each(Queue& queue, std::span<const Settlement> settlements,
                                 const RetryRule& rule) {
  const TimePoint until = Clock::now() + kPatience;
  if (settlements.size() == 1) return {settle_one(queue, settlements.front(), rule)};
  if (auto all = try_all(queue, settlements, rule)) return std::move(*all);
  std::vector<Settled> settled(settlements.size(), Settled::locked);
  try {
    const bool done = try_done(queue, settlements, rule, settled);
    // Begins elsewhere each time: where each call takes long, all have their turn.
    const auto first = static_cast<std::size_t>(to_ms(until)) % settlements.size();
    bool tried = false;
    for (std::size_t n = 0; n < settlements.size() && (!tried || Clock::now() < until); ++n) {
      const std::size_t i = (first + n) % settlements.size();
      if (done && settlements[i].outcome.kind == Outcome::Kind::done) continue;
      settled[i] = settle_one(queue, settlements[i], rule);
      tried = true;
    }
  } catch (const DatabaseError& error) {
    if (error.kind() == DatabaseError::Kind::connection) throw;  // what it did is unknown
    // What was settled counts; the next call throws this again.
  }
  return settled;
}

}  // namespace pgforeman
