#include "consumer/consumer.h"

#include <algorithm>

#include "process/child_main.h"
#include "system/backoff.h"

namespace pgforeman {
namespace {

// Long, as maintenance finds out first that the database is back and says so on the scoreboard.
constexpr Millis kReconnectCap{5000};
constexpr Millis kHandBackPatience{1000};
constexpr Millis kHandBackRetry{50};
constexpr Millis kHandBackRetryMax{1000};

std::string session_name(const ChildContext& context) {
  // pg_stat_activity cuts names at 63 bytes: the slot comes before the queue.
  return "pgforeman consumer " + std::to_string(context.slot) + " " + context.options->queue;
}

}  // namespace

void consumer_main(const ChildContext& context) noexcept {
  run_child("consumer", context.slot, context, [&] { Consumer(context).run(); });
}

Consumer::Consumer(const ChildContext& context)
    : context_(context),
      options_(*context.options),
      loop_(context),
      session_(context, loop_, session_name(context), kReconnectCap),
      ledger_(context.scoreboard->ledger(context.ledger)),
      batch_(ledger_),
      batch_size_(options_.batch),
      tools_{context_, options_, loop_, session_, batch_, batch_size_},
      vacuum_(context.scoreboard->queue().vacuum, loop_),
      watch_(context, loop_, session_),
      settler_(tools_, vacuum_),
      leases_(tools_, ledger_),
      claimer_(tools_, settler_, leases_, watch_),
      runner_(tools_, ledger_, settler_, leases_, watch_),
      idle_(tools_) {}

void Consumer::run() {
  open_handler();  // a long-lived handler warms up while the database is reached
  while (!loop_.check_signals()) {
    try {
      if (!session_.connected() && !session_.connect()) break;
      work();
    } catch (const DatabaseError& error) {
      idle_.pass_on_wakeup();
      session_.failed(error);
    }
  }
  loop_.enter(Phase::draining);
  idle_.pass_on_wakeup();
  hand_back();
  runner_.close();
}

/// One step; every step can be repeated after an outage.
void Consumer::work() {
  claimer_.in_doubt().release_in_doubt(Clock::now());
  vacuum();
  if (batch_.any_waits() || claimer_.just_emptied()) {
    settler_.settle();
  } else if (!claim()) {
    return;
  }
  if (batch_.any_waits()) {
    work_off_batch();
  } else {
    watch_.idle();
    if (open_handler()) wait();  // it may have ended with its last message
  }
}

/// If it is this consumer's turn, and it has nothing to run.
void Consumer::vacuum() {
  if (batch_.any_waits() || idle_.is_woken() || !vacuum_.take(Clock::now())) return;
  settler_.settle();
  vacuum_.run(session_.queue());
}

/// Settles and claims, in one transaction if it can. False if it is not known whether there are
/// messages, or if none may run now: repeat the step.
bool Consumer::claim() {
  const ClaimPlan plan = claimer_.plan(runner_.is_failing() || watch_.may_wait());
  if (!plan.settles) {
    settler_.settle();
    claimer_.settle_made();
  }
  // Another consumer gets the wake-up if this batch is full (of messages with locked rows), or if
  // the handler does not start here: elsewhere it may work.
  if (batch_.room() == 0) {
    idle_.pass_on_wakeup();
    return true;
  }
  if (!watch_.may_claim() || !open_handler()) {
    idle_.pass_on_wakeup();
    return false;
  }
  const Claimed claimed = claimer_.claim(plan);
  if (claimed == Claimed::again) return false;
  runner_.begin_batch();
  // One notification may stand for many messages: a consumer that found work wakes the next.
  if (claimed == Claimed::all) idle_.pass_on_wakeup();
  idle_.claim_followed();
  return true;
}

bool Consumer::open_handler() {
  return runner_.open([this] { idle_.pass_on_wakeup(); });
}

void Consumer::wait() {
  // A handler that ended meanwhile is started again.
  idle_.wait(
      batch_.room() > 0, std::min(settler_.due(), claimer_.in_doubt().second_release_at()),
      [this] { return runner_.fails_to_start(); },
      [this](TimePoint now) { runner_.check_limits(now); });
}

void Consumer::work_off_batch() {
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (!batch_[i].waits()) continue;
    const TimePoint now = Clock::now();
    if (loop_.check_signals(now)) return;
    leases_.check(i, now);
    if (batch_[i].is_lost()) continue;
    // Others run the messages that wait, also when the handler does not start here.
    if (runner_.held_long_enough() || runner_.fails_to_start() || watch_.holds() ||
        !watch_.may_run(batch_[i].message) || !open_handler()) {
      settler_.release_waiting();
      return;
    }
    if (batch_[i].message.unfinished_claims > 0) stand_alone(i);
    if (!exceeds_max_claims(i)) runner_.run(i);
    // The session was lost during the run: run() opens the next one and settles then; in a drain
    // hand_back() does.
    if (!session_.connected()) return;
    // The last message may be settled by the next claim. (A settle keeps the indexes while a
    // message waits: see forget_settled().)
    const TimePoint ran_until = Clock::now();
    if (i + 1 < batch_.size() && ran_until >= settler_.due()) settler_.settle();
    runner_.check_limits(ran_until);
  }
}

/// A message that was claimed without a result may bring down the host: while it runs this consumer
/// holds no other, which would come closer to its own MAX_CLAIMS.
void Consumer::stand_alone(std::size_t index) {
  batch_size_.begin_with_one();
  if (batch_.size() == 1) return;
  settler_.release_waiting(index);
  settler_.settle();
}

/// Gives up a message with too many claims and no result: it may bring down the host each time.
bool Consumer::exceeds_max_claims(std::size_t index) {
  const auto unfinished_claims = batch_[index].message.unfinished_claims;
  if (unfinished_claims < options_.max_claims) return false;
  Outcome outcome{Outcome::Kind::max_claims_exceeded};
  outcome.error =
      "claimed " + std::to_string(unfinished_claims) + " times without a run that ended";
  outcome.evidence.cause = Cause::max_claims_exceeded;
  settler_.end(index, std::move(outcome), Clock::now());
  return true;
}

/// The end of a drain. Messages that cannot be settled in time stay in the ledger for maintenance.
/// Waits longer for a lost database if a run has ended: unsettled, its message may run again.
void Consumer::hand_back() {
  settler_.release_waiting();
  const TimePoint begun = Clock::now();
  const bool results =
      std::any_of(batch_.all().begin(), batch_.all().end(), [](const LeasedMessage& m) {
        return m.is_unsettled() && m.outcome->kind != Outcome::Kind::released;
      });
  const TimePoint patience = results ? loop_.drain_deadline()
                                     : std::min(loop_.drain_deadline(), begun + kHandBackPatience);
  for (int failures = 0; !batch_.empty() || claimer_.in_doubt().is_open(); ++failures) {
    loop_.enter(Phase::draining);
    try {
      if (session_.connected() || session_.try_connect()) {
        claimer_.in_doubt().release_in_doubt(Clock::now());
        settler_.settle();
        if (batch_.empty()) break;
        // Maintenance waits for locked rows.
        if (Clock::now() >= begun + kHandBackPatience) break;
      }
    } catch (const DatabaseError& error) {
      session_.drop(error);
    }
    const auto left = std::chrono::duration_cast<Millis>(patience - Clock::now());
    if (left <= Millis{0}) break;
    loop_.pause(
        std::min(left, backoff_delay(failures, kHandBackRetry, kHandBackRetryMax, loop_.random())));
  }
  claimer_.in_doubt().leave_to_maintenance();
}

}  // namespace pgforeman
