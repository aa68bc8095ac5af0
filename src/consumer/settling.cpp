// How a consumer tells the queue what became of its messages, and hands back what it did not run.

#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "base/backoff.h"
#include "base/log.h"
#include "child/settled.h"
#include "consumer/consumer.h"
#include "consumer/settle_log.h"

namespace pgforeman {
namespace {

// What is finished waits for company so long, at most for the rest of its batch. If its consumer
// dies meanwhile, the reason of a failure is lost.
constexpr Millis kDoneUntoldFor{10};
constexpr Millis kFailureUntoldFor{2};
// While a message runs without a session, how often a new one is tried to tell of the others. A
// connect that gets no answer takes as long, and nobody looks after the handler meanwhile.
constexpr Millis kReconnectToTell{5000};
// How long a message waits whose row somebody has locked: ever longer.
constexpr Millis kLockedFor{1000};
constexpr Millis kLockedForMost{10'000};
constexpr Millis kHandBackPatience{1000};
constexpr Millis kHandBackRetry{50};
constexpr Millis kHandBackRetryMax{1000};

}  // namespace

/// Whether all that the queue does not know yet can be told by the next claim: in the same round
/// trip and with the same commit.
bool Consumer::may_tell_with_claim() const {
  if (tell_alone_ || !can_claim()) return false;
  std::optional<std::int64_t> token;
  for (const Held& held : batch_) {
    if (held.waits()) return false;
    if (!held.untold()) continue;
    const auto its = held.message.lease.token;
    if (held.outcome->kind != Outcome::Kind::done || held.asked) return false;
    if (held.locked_for > Millis{0}) return false;  // most likely still
    if (token.value_or(its) != its) return false;
    token = its;
  }
  return batch_.empty() || token;  // else there is something to forget
}

/// See may_tell_with_claim(). Otherwise nothing is left of the kind when a claim is made.
std::vector<std::size_t> Consumer::done_together() const {
  std::vector<std::size_t> done;
  if (!may_tell_with_claim()) return done;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (batch_[i].untold()) done.push_back(i);
  }
  return done;
}

void Consumer::note_done(Indexes done) {
  for (const std::size_t i : done) note_told(i, {Settled::done});
  ledger_.answered();
  end_telling(done.size());
}

/// Tells the queue every outcome it does not know yet, and forgets a batch that is all told.
void Consumer::settle() {
  std::vector<Settlement> settlements;
  std::vector<std::size_t> indexes;
  const TimePoint now = Clock::now();
  // All that somebody had locked at once, not each when it is due: a call may wait for each lock.
  const bool locked_too =
      loop_.draining() || std::any_of(batch_.begin(), batch_.end(), [&](const Held& held) {
        return held.untold() && held.locked_for > Millis{0} && held.tell_at <= now;
      });
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    const Held& held = batch_[i];
    if (held.untold() && (locked_too || held.locked_for == Millis{0})) {
      settlements.push_back({held.message.lease, *held.outcome, {context_.slot, held.started_ms}});
      indexes.push_back(i);
    }
  }
  std::size_t told = 0;
  if (!settlements.empty()) {
    loop_.enter(Phase::settling);
    const auto tellings = ask(settlements, indexes);
    for (std::size_t i = 0; i < indexes.size(); ++i) {
      note_told(indexes[i], tellings[i]);
      if (!tellings[i].locked) ++told;
    }
    // Only now: if we die in between, what was told is not taken for lost.
    if (!unanswered()) ledger_.answered();
    const auto locked = std::count_if(tellings.begin(), tellings.end(), [](const Telling& telling) {
      return telling.locked && !telling.logged;
    });
    if (locked > 0) {
      log::warn("messages not settled yet, somebody has locked their rows", {{"messages", locked}});
    }
    // Maintenance finds out when a retry is due; unless called it looks every 1.2 s.
    if (std::any_of(tellings.begin(), tellings.end(),
                    [](const Telling& telling) { return telling.settled == Settled::retried; })) {
      ::eventfd_write(context_.call_fd, 1);
    }
  }
  tell_alone_ = false;
  end_telling(told);
}

void Consumer::end_telling(std::size_t told) {
  vacuum_.count(told);
  tell_by_ = TimePoint::max();
  for (const Held& held : batch_) {
    if (held.untold()) tell_by_ = std::min(tell_by_, held.tell_at);
  }
  forget_told();
}

void Consumer::note_told(std::size_t index, const Telling& telling) {
  Held& held = batch_[index];
  if (telling.locked) {
    held.locked_for = std::clamp(2 * held.locked_for, kLockedFor, kLockedForMost);
    held.tell_at = Clock::now() + held.locked_for;
    return;
  }
  if (const auto settled = telling.settled) {
    count_settled(loop_.slot().slot(), *settled);
    count_cause(context_.scoreboard->fleet(),
                settled == Settled::lost_lease ? Cause::lease_lost : held.outcome->evidence.cause);
    log_settled(held.message, held.outcome, *settled, retry_rule(options_));
    if (settled == Settled::done)
      log_first_done(context_.scoreboard->fleet(), held.message, held.started_ms);
  }
  held.outcome.reset();
  ledger_.settled(index);
}

/// At the end of a batch nothing stays of it but what could not be told.
void Consumer::forget_told() {
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (batch_[i].running || batch_[i].waits()) return;
    if (batch_[i].untold()) kept.push_back(i);
  }
  loop_.slot().clear_message();
  if (kept.size() == batch_.size()) return;
  for (std::size_t to = 0; to < kept.size(); ++to) {
    if (kept[to] != to) batch_[to] = std::move(batch_[kept[to]]);
  }
  batch_.erase(batch_.begin() + static_cast<std::ptrdiff_t>(kept.size()), batch_.end());
  ledger_.keep(kept);
}

bool Consumer::has_work() const {
  return std::any_of(batch_.begin(), batch_.end(), [](const Held& held) { return held.waits(); });
}

/// One call; when its answer is lost, what it may have done is known to the next one.
std::vector<Telling> Consumer::ask(std::span<const Settlement> settlements, Indexes indexes) {
  ledger_.ask();
  std::vector<Telling> tellings;
  try {
    tellings = settle_each(session_.queue(), settlements, retry_rule(options_));
  } catch (const DatabaseError& error) {
    if (error.kind() == DatabaseError::Kind::connection) {
      for (const std::size_t i : indexes) batch_[i].asked = true;
    } else if (!unanswered()) {
      ledger_.answered();  // an answer, and it is no
    }
    throw;
  }
  session_.worked();
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    Held& held = batch_[indexes[i]];
    if (tellings[i].settled == Settled::lost_lease && held.asked) {
      tellings[i].settled = as_told_before(held.outcome->kind);
    }
    held.asked = held.asked && tellings[i].locked;
  }
  return tellings;
}

bool Consumer::unanswered() const {
  return std::any_of(batch_.begin(), batch_.end(), [](const Held& held) { return held.asked; });
}

/// What never started goes back with the next settle, without counting an attempt.
void Consumer::release_unstarted() {
  std::size_t released = 0;
  const TimePoint now = Clock::now();
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    Held& held = batch_[i];
    if (!held.waits()) continue;
    held.started = true;
    held.outcome = Outcome{Outcome::Kind::released};
    finish(i, now);
    ++released;
  }
  if (released == 0) return;
  log::write(loop_.draining() ? log::Level::info : log::Level::debug, "unstarted messages released",
             {{"messages", released}});
}

/// The message has an outcome, which stands in the ledger from now on.
void Consumer::finish(std::size_t index, TimePoint now) {
  const Outcome& outcome = *batch_[index].outcome;
  ledger_.finish(index, outcome);
  if (batch_[index].lost) return ledger_.settled(index);  // nothing to tell
  // Where somebody has locked rows each call may take long. But others may be waiting for what goes
  // back.
  const auto locked = [](const Held& held) { return held.locked_for > Millis{0}; };
  const bool may_wait =
      outcome.kind != Outcome::Kind::released &&
      (batch_size_.are_brief() || std::any_of(batch_.begin(), batch_.end(), locked));
  const Millis wait = outcome.kind == Outcome::Kind::done ? kDoneUntoldFor : kFailureUntoldFor;
  tell_by_ = std::min(tell_by_, may_wait ? now + wait : TimePoint::min());
}

/// When to settle though the batch goes on.
TimePoint Consumer::next_telling() const {
  if (!session_.connected()) {
    return loop_.draining() ? TimePoint::max()
                            : std::max(tell_by_, try_telling_at_);  // hand_back()
  }
  return tell_by_;
}

void Consumer::tell_while_running() {
  try {
    if (open_session_while_running()) settle();
  } catch (const DatabaseError& error) {
    session_.drop(error);
  }
  try_telling_at_ =
      Clock::now() + backoff_delay(0, kReconnectToTell, kReconnectToTell, loop_.random());
  loop_.enter(Phase::running);
}

/// The end of a drain. What the database cannot be told in time stands in the ledger, for
/// maintenance. Results are worth the wait for a database that is away: untold, they run again.
void Consumer::hand_back() {
  release_unstarted();
  const TimePoint begun = Clock::now();
  const bool untold = std::any_of(batch_.begin(), batch_.end(), [](const Held& held) {
    return held.outcome && held.outcome->kind != Outcome::Kind::released;
  });
  const TimePoint patience =
      untold ? loop_.drain_deadline() : std::min(loop_.drain_deadline(), begun + kHandBackPatience);
  for (int failures = 0; !batch_.empty() || open_claim_ != 0; ++failures) {
    loop_.enter(Phase::draining);
    try {
      if (session_.connected() || session_.try_connect()) {
        if (open_claim_ != 0) {
          give_back_claim();
          ledger_.end_claim({});
        }
        settle();
        if (batch_.empty()) break;
        // What somebody has locked maintenance can wait for as well.
        if (Clock::now() >= begun + kHandBackPatience) return;
      }
    } catch (const DatabaseError& error) {
      session_.drop(error);
    }
    const auto left = std::chrono::duration_cast<Millis>(patience - Clock::now());
    if (left <= Millis{0}) return;
    loop_.pause(
        std::min(left, backoff_delay(failures, kHandBackRetry, kHandBackRetryMax, loop_.random())));
  }
  ledger_.end_claim({});
}

}  // namespace pgforeman
