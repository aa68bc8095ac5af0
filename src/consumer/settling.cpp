// How a consumer tells the queue what became of its messages, and hands back what it did not run.

#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "base/backoff.h"
#include "base/log.h"
#include "child/settle_each.h"
#include "child/settled.h"
#include "consumer/consumer.h"
#include "consumer/settle_log.h"

namespace pgforeman {
namespace {

// What is finished waits for company so long, or until there is so much of it.
constexpr Millis kUntoldFor{2};
constexpr std::size_t kMostUntold = 100;
constexpr Millis kHandBackPatience{1000};
constexpr Millis kHandBackRetry{50};
constexpr Millis kHandBackRetryMax{1000};

}  // namespace

/// Tells the queue every outcome it does not know yet, and forgets a batch that is all told.
void Consumer::settle() {
  std::vector<Settlement> settlements;
  std::vector<std::size_t> indexes;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    Held& held = batch_[i];
    if (held.outcome && !held.lost) {
      settlements.push_back({held.message.lease, *held.outcome, {context_.slot, held.started_ms}});
      indexes.push_back(i);
    }
  }
  if (!settlements.empty()) {
    loop_.enter(Phase::settling);
    const auto settled = ask(settlements, indexes);
    for (std::size_t i = 0; i < indexes.size(); ++i) {
      Held& held = batch_[indexes[i]];
      if (settled[i]) {
        count_settled(loop_.slot().slot(), *settled[i]);
        count_cause(context_.scoreboard->fleet(), settled[i] == Settled::lost_lease
                                                      ? Cause::lease_lost
                                                      : held.outcome->evidence.cause);
        log_settled(held.message, held.outcome, *settled[i]);
      }
      held.outcome.reset();
      ledger_.settled(indexes[i]);
    }
    untold_ = 0;
    tell_by_ = TimePoint::max();
    // Maintenance finds out when a retry is due; unless called it looks once a second.
    if (std::find(settled.begin(), settled.end(), Settled::retried) != settled.end()) {
      ::eventfd_write(context_.call_fd, 1);
    }
  }
  const bool all_told = std::all_of(batch_.begin(), batch_.end(), [](const Held& held) {
    return !held.running && (held.lost || (held.started && !held.outcome));
  });
  if (!all_told) return;
  batch_.clear();
  ledger_.clear();
  loop_.slot().clear_message();
}

/// One call; when its answer is lost, what it may have done is known to the next one.
std::vector<std::optional<Settled>> Consumer::ask(std::span<const Settlement> settlements,
                                                  std::span<const std::size_t> indexes) {
  ledger_.ask();
  std::vector<std::optional<Settled>> settled;
  try {
    settled = settle_each(session_.queue(), settlements, retry_rule(options_));
  } catch (const DatabaseError& error) {
    if (error.kind() == DatabaseError::Kind::connection) {
      for (const std::size_t i : indexes) batch_[i].asked = true;
    } else if (std::none_of(batch_.begin(), batch_.end(),
                            [](const Held& held) { return held.asked; })) {
      ledger_.answered();  // an answer, and it is no
    }
    throw;
  }
  ledger_.answered();
  session_.worked();
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    const Held& held = batch_[indexes[i]];
    if (settled[i] == Settled::lost_lease && held.asked) {
      settled[i] = as_told_before(held.outcome->kind);
    }
  }
  return settled;
}

/// What never started goes back at no attempt, with the next settle.
void Consumer::release_unstarted() {
  std::size_t released = 0;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    Held& held = batch_[i];
    if (held.started || held.lost) continue;
    held.started = true;
    held.outcome = Outcome{Outcome::Kind::released};
    finish(i);
    ++released;
  }
  if (released == 0) return;
  log::write(loop_.draining() ? log::Level::info : log::Level::debug, "unstarted messages released",
             {{"messages", released}});
}

/// The message has an outcome, which stands in the ledger from now on.
void Consumer::finish(std::size_t index) {
  const Outcome& outcome = *batch_[index].outcome;
  ledger_.finish(index, outcome);
  ++untold_;
  // Others may be waiting for what goes back.
  const bool may_wait = batch_size_.are_brief() && outcome.kind != Outcome::Kind::released;
  tell_by_ = std::min(tell_by_, may_wait ? Clock::now() + kUntoldFor : TimePoint::min());
}

/// When to settle though the batch goes on. Without a session that is the next one's first act.
TimePoint Consumer::next_telling() const {
  if (!session_.connected()) return TimePoint::max();
  return untold_ >= kMostUntold ? TimePoint::min() : tell_by_;
}

void Consumer::tell_while_running() {
  try {
    if (session_.connected()) settle();
  } catch (const DatabaseError& error) {
    session_.drop(error);  // hand_back() tries again
  }
  loop_.enter(Phase::running);
}

/// The end of a drain. What the database cannot be told in time stands in the ledger, for
/// maintenance. Results are worth the wait for a database that is away: untold, they run again.
void Consumer::hand_back() {
  release_unstarted();
  const bool untold = std::any_of(batch_.begin(), batch_.end(), [](const Held& held) {
    return held.outcome && held.outcome->kind != Outcome::Kind::released;
  });
  const TimePoint patience =
      untold ? loop_.drain_deadline()
             : std::min(loop_.drain_deadline(), Clock::now() + kHandBackPatience);
  for (int failures = 0; !batch_.empty() || open_claim_ != 0; ++failures) {
    loop_.enter(Phase::draining);
    try {
      if (session_.connected() || session_.try_connect()) {
        if (open_claim_ != 0) give_back_claim();
        settle();
        continue;
      }
    } catch (const DatabaseError& error) {
      session_.drop(error);
    }
    if (Clock::now() >= patience) return;
    loop_.pause(backoff_delay(failures, kHandBackRetry, kHandBackRetryMax, loop_.random()));
  }
  ledger_.clear();
}

}  // namespace pgforeman
