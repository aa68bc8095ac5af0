#include "consumer/settler.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "consumer/settle_log.h"
#include "process/renew_each.h"
#include "process/settle_each.h"
#include "system/backoff.h"
#include "system/log.h"

namespace pgforeman {
namespace {

// A settle that took longer is likely to take as long again: the next one is smaller.
constexpr Millis kSlowSettle{1000};
constexpr std::size_t kShrink = 8;
// A message that failed by itself for longer is at fault, if its lease can be renewed.
constexpr Millis kFailsFor{8000};
// Time between settles that fail while a message runs: each may take kWatchdogWhileRunning.
constexpr Millis kSettleAgain{5000};

}  // namespace

void Settler::end(std::size_t index, Outcome outcome, TimePoint now) {
  const auto kind = outcome.kind;
  tools_.batch.end(index, std::move(outcome));
  if (tools_.batch[index].is_lost()) return;  // nothing to settle
  // While rows are locked each call is slow, so messages share one.
  const bool may_wait = tools_.batch_size.are_brief() || tools_.batch.any_deferred();
  timing_.ended(kind, may_wait, now);
}

void Settler::release_waiting(std::optional<std::size_t> but) {
  const TimePoint now = Clock::now();
  std::size_t released = 0;
  for (std::size_t i = 0; i < tools_.batch.size(); ++i) {
    if (!tools_.batch[i].waits() || i == but) continue;
    end(i, Outcome{Outcome::Kind::released}, now);
    ++released;
  }
  if (released == 0) return;
  log::write(tools_.loop.draining() ? log::Level::info : log::Level::debug,
             "unstarted messages released", {{"messages", released}});
}

void Settler::settle() {
  const Batch& batch = tools_.batch;
  const TimePoint now = Clock::now();
  // All deferred messages go in one call: each call may wait 200 ms for a lock.
  const bool deferred_too = tools_.loop.draining() ||
                            std::any_of(batch.all().begin(), batch.all().end(), [&](const auto& m) {
                              return m.is_deferred() && m.settle_at <= now;
                            });
  std::vector<Settlement> settlements;
  std::vector<std::size_t> indexes;
  for (std::size_t i = 0; i < batch.size() && settlements.size() < most_; ++i) {
    if (!batch[i].is_unsettled() || (batch[i].is_deferred() && !deferred_too)) continue;
    settlements.push_back(
        {batch[i].message.lease(), *batch[i].outcome, {tools_.context.slot, batch[i].started_ms}});
    indexes.push_back(i);
  }
  std::size_t settled = 0;
  if (!settlements.empty()) {
    tools_.loop.enter(Phase::settling);
    const auto results = ask(settlements, indexes);
    for (std::size_t i = 0; i < indexes.size(); ++i) {
      apply(indexes[i], results[i]);
      if (!is_deferred(results[i])) ++settled;
    }
    if (const auto locked = std::count(results.begin(), results.end(), Settled::locked)) {
      const auto first = std::find(results.begin(), results.end(), Settled::locked);
      const log::MessageScope scope(
          batch[indexes[static_cast<std::size_t>(first - results.begin())]].message.id, 0);
      log::warn("messages not settled yet, their rows are locked", {{"messages", locked}});
    }
    // Wakes maintenance, which promotes retries when they are due; otherwise it checks every 1.2 s.
    if (std::find(results.begin(), results.end(), Settled::retried) != results.end()) {
      ::eventfd_write(tools_.context.maintenance_fd, 1);
    }
  }
  finish(settled);
}

/// Makes one call. If its answer is lost the messages are in doubt: the next call finds out.
std::vector<Settled> Settler::ask(std::span<const Settlement> settlements, Batch::Indexes indexes) {
  tools_.batch.begin_settle(indexes);
  std::vector<Settled> results;
  const TimePoint asked_at = Clock::now();
  const auto is_slow = [&] { return Clock::now() - asked_at > kSlowSettle; };
  try {
    results = settle_each(tools_.session.queue(), settlements, retry_rule(tools_.options));
  } catch (const DatabaseError& error) {
    if (is_slow()) most_ = std::max<std::size_t>(1, indexes.size() / kShrink);
    failed(indexes, error);
    throw;
  }
  tools_.session.worked();
  if (!is_slow()) most_ = std::min(2 * most_, kMaxBatch);
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    const LeasedMessage& m = tools_.batch[indexes[i]];
    if (results[i] == Settled::lost_lease && m.state == MessageState::in_doubt) {
      results[i] = as_settled_before(m.outcome->kind);
    }
    if (results[i] == Settled::failed && m.deferred_for >= kFailsFor &&
        can_be_renewed(tools_.session.queue(), m.message.lease(),
                       tools_.options.visibility_timeout)) {
      const log::MessageScope scope(m.message.id, m.message.attempt);
      log::error("message not settled, it waits for VISIBILITY_TIMEOUT",
                 {{"reason", "the database fails to settle it, but renews its lease"}});
      results[i] = Settled::refused;
    }
  }
  return results;
}

void Settler::failed(Batch::Indexes indexes, const DatabaseError& error) {
  if (error.kind() == DatabaseError::Kind::connection) {
    tools_.batch.unanswered(indexes);
  } else {
    tools_.batch.not_settled(indexes);
  }
}

void Settler::apply(std::size_t index, Settled settled) {
  if (is_deferred(settled)) return tools_.batch.defer(index, Clock::now());
  const LeasedMessage& m = tools_.batch[index];
  if (settled == Settled::refused) {
    tools_.queue().refused.add(RefusedChange::settle, 1);
  } else {
    count_settled(tools_.loop.slot(), settled);
    const bool lost = settled == Settled::lost_lease;
    tools_.fleet().count(lost ? Cause::lease_lost : m.outcome->evidence.cause);
    log_settled(m.message, m.outcome, settled, retry_rule(tools_.options));
    if (settled == Settled::done) log_first_done(tools_.fleet(), m.message, m.started_ms);
  }
  tools_.batch.settled(index);
}

void Settler::finish(std::size_t settled) {
  vacuum_.count(settled);
  TimePoint next = TimePoint::max();
  for (const LeasedMessage& m : tools_.batch.all()) {
    if (m.is_unsettled()) next = std::min(next, m.settle_at);
  }
  timing_.settled(next);
  if (tools_.batch.forget_settled()) tools_.loop.slot().message_id.store(0);
}

Settler::WithClaim Settler::begin_with_claim() {
  WithClaim done;
  for (std::size_t i = 0; i < tools_.batch.size(); ++i) {
    const LeasedMessage& m = tools_.batch[i];
    if (!m.is_unsettled()) continue;
    done.indexes.push_back(i);
    done.ids.push_back(m.message.id);
    done.token = m.message.token;
  }
  tools_.batch.begin_settle(done.indexes);
  return done;
}

void Settler::claim_settled(const WithClaim& done) {
  if (done.indexes.empty()) return;
  for (const std::size_t i : done.indexes) apply(i, Settled::done);
  finish(done.indexes.size());
}

TimePoint Settler::due() const {
  if (tools_.session.connected()) return timing_.due();
  // In a drain without a session, hand_back() settles.
  return tools_.loop.draining() ? TimePoint::max() : std::max(timing_.due(), try_at_);
}

void Settler::settle_while_running() {
  try {
    if (tools_.session.reconnect_while_running()) settle();
  } catch (const DatabaseError& error) {
    tools_.session.drop(error);
  }
  try_at_ = Clock::now() + backoff_delay(0, kSettleAgain, kSettleAgain, tools_.loop.random());
  tools_.loop.enter(Phase::running);
}

}  // namespace pgforeman
