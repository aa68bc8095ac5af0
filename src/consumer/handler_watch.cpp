#include "consumer/handler_watch.h"

#include <algorithm>
#include <utility>

#include "system/log.h"

namespace pgforeman {
namespace {

constexpr Millis kPoll{500};

}  // namespace

HandlerWatch::HandlerWatch(const ChildContext& context, ChildLoop& loop, Session& session)
    : context_(context),
      loop_(loop),
      session_(session),
      board_(context.scoreboard->handler()),
      program_(program_id(*context.options)),
      brake_(board_, program_, context.options->retry_backoff, context.options->max_attempts) {}

StartReports HandlerWatch::start_reports() {
  return {[this] { return board_.worked.load() == 1; },
          [this](std::string_view why) {
            record_failed_start(board_, program_, why);
            if (std::exchange(probing_, false)) brake_.probe_not_started(Clock::now());
          },
          [this] { record_start_alive(board_, program_); }};
}

bool HandlerWatch::may_claim() {
  if (is_noop() && !noop_may_claim()) return false;
  if (!brake_.is_on() || probing_) return true;
  probing_ = brake_.take_probe(Clock::now());
  if (!probing_) wait_for_probe();
  return probing_;
}

void HandlerWatch::wait_for_probe() {
  // /readyz needs an answered call, and under the brake the first claim may be far off.
  if (!session_.works()) {
    session_.queue().peek({}, 1);
    session_.worked();
  }
  const TimePoint now = Clock::now();
  loop_.enter(Phase::waiting);
  loop_.pause(std::min<Clock::duration>(brake_.next_probe(now) - now, kPoll));
}

void HandlerWatch::idle() {
  if (!probing_) return;
  probing_ = false;
  brake_.give_back(Clock::now());
}

void HandlerWatch::record_run(const Message& message, Outcome& outcome, bool failed_start) {
  if (context_.options->handler_mode == HandlerMode::noop) return;
  const TimePoint now = Clock::now();
  const Cause cause = outcome.evidence.cause;
  if (outcome.kind == Outcome::Kind::released) {
    if (!failed_start) idle();
  } else if (cause == Cause::none || cause == Cause::retry || cause == Cause::dead) {
    // A handler that answers retry or dead works.
    if (brake_.succeeded()) log::info("a run succeeded: the fleet works at full speed again");
  } else if (outcome.kind == Outcome::Kind::retry || outcome.kind == Outcome::Kind::crash) {
    const bool begins = brake_.failed(message.id, probing_, now);
    if (brake_.is_on() && !outcome.after) outcome.after = brake_.delay(outcome, message.attempt);
    if (begins) {
      log::warn("every run fails: the fleet runs one message at a time until one succeeds",
                {{"failed_runs", board_.failed_runs.load()}, {"error", outcome.error}});
    } else if (probing_ && brake_.is_on()) {
      log::info(
          "every run still fails: the next message runs later",
          {{"failed_runs", board_.failed_runs.load()}, {"wait_ms", brake_.interval().count()}});
    }
  }
  probing_ = false;
}

bool HandlerWatch::is_noop() const {
  const Options& options = *context_.options;
  return options.handler_mode == HandlerMode::noop && options.noop_discards == YesNo::no;
}

/// Once a fleet, notes the highest id: noop may delete only later messages. (A count would walk all
/// that was deleted while a snapshot is held.)
bool HandlerWatch::noop_may_claim() {
  if (board_.noop_from.load() == 0) {
    std::int64_t unknown = 0;
    const std::int64_t highest = session_.queue().highest_id();
    const bool first = board_.noop_from.compare_exchange_strong(unknown, highest + 1);
    if (first && session_.queue().has_scheduled(highest)) refuse_noop();
    session_.worked();
  }
  if (board_.noop_refused.load() == 0) return true;
  loop_.enter(Phase::waiting);
  loop_.pause(kPoll);
  return false;
}

bool HandlerWatch::may_run(const Message& message) {
  if (!is_noop() || message.id >= board_.noop_from.load()) return true;
  refuse_noop();
  return false;
}

void HandlerWatch::refuse_noop() {
  if (board_.noop_refused.exchange(1) != 0) return;
  log::error("the queue has messages, and HANDLER_MODE=noop would delete them unread",
             {{"queue", context_.options->queue},
              {"to_do", "set HANDLER and another HANDLER_MODE, or NOOP_DISCARDS=yes"}});
}

}  // namespace pgforeman
