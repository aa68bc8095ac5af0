#include "consumer/handler_watch.h"

#include <algorithm>
#include <utility>

#include "system/log.h"

namespace pgforeman {
namespace {

constexpr Millis kPoll{500};

}  // namespace

HandlerWatch::HandlerWatch(const ChildContext& context, ChildLoop& loop)
    : context_(context),
      loop_(loop),
      board_(context.scoreboard->handler()),
      program_(program_id(*context.options)),
      brake_(board_, program_, context.options->retry_backoff, context.options->max_attempts) {}

StartReports HandlerWatch::start_reports() {
  return {[this] { return board_.worked.load() == 1; },
          [this](std::string_view why) {
            record_failed_start(board_, program_, why);
            if (std::exchange(probing_, false)) brake_.probe_not_started(Clock::now());
          },
          [this] { record_lives(board_, program_); }};
}

bool HandlerWatch::may_claim(Session& session) {
  if (looks_first() && !may_discard(session)) return false;
  if (!brake_.is_on() || probing_) return true;
  probing_ = brake_.take_probe(Clock::now());
  if (!probing_) wait_a_little(session);
  return probing_;
}

void HandlerWatch::wait_a_little(Session& session) {
  // A consumer that never claims has to show in another way that its session works: until then the
  // fleet is not ready.
  if (!session.works()) {
    session.queue().peek({}, 1);
    session.worked();
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

void HandlerWatch::judge(const Message& message, Outcome& outcome, bool failed_start) {
  if (context_.options->handler_mode == HandlerMode::noop) return;
  const TimePoint now = Clock::now();
  const Cause cause = outcome.evidence.cause;
  if (outcome.kind == Outcome::Kind::released) {
    if (!failed_start) idle();
  } else if (cause == Cause::none || cause == Cause::retry || cause == Cause::dead) {
    // What the handler decides is no sign of a broken one.
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

/// noop deletes messages: those that were there before it began only with NOOP_DISCARDS=yes.
bool HandlerWatch::looks_first() const {
  const Options& options = *context_.options;
  return options.handler_mode == HandlerMode::noop && options.noop_discards == YesNo::no &&
         board_.noop_look.load() != kNoopEmpty;
}

bool HandlerWatch::may_discard(Session& session) {
  std::uint32_t look = 0;
  if (board_.noop_look.load() == 0) {
    const QueueCounts counts = session.queue().counts();
    session.worked();
    const auto waiting = counts.ready + counts.scheduled + counts.running;
    if (board_.noop_look.compare_exchange_strong(look, waiting == 0 ? kNoopEmpty : kNoopRefused) &&
        waiting > 0) {
      log::error("the queue has messages, and HANDLER_MODE=noop would delete them unread",
                 {{"queue", context_.options->queue},
                  {"messages", waiting},
                  {"to_do", "set HANDLER and another HANDLER_MODE, or NOOP_DISCARDS=yes"}});
    }
  }
  if (board_.noop_look.load() == kNoopEmpty) return true;
  loop_.enter(Phase::waiting);
  loop_.pause(kPoll);
  return false;
}

}  // namespace pgforeman
