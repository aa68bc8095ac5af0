#include "consumer/consumer.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <functional>
#include <system_error>
#include <utility>

#include "base/backoff.h"
#include "base/log.h"
#include "base/origin.h"
#include "child/child_main.h"
#include "child/settled.h"
#include "consumer/settle_log.h"
#include "scoreboard/waker.h"

namespace pgforeman {
namespace {

// A consumer that reconnects by itself may be slow: maintenance finds the database first and says
// so on the scoreboard.
constexpr Millis kReconnectCap{5000};
// Maintenance that did not report for so long does not hear for the fleet.
constexpr Millis kHearsFor{3000};
constexpr Millis kBackstop{60'000};
constexpr Millis kHandlerBackoff{100};
constexpr Millis kHandlerBackoffMax{10000};

std::string session_name(const ChildContext& context) {
  // pg_stat_activity cuts names at 63 bytes: the slot comes before the queue.
  return "pgforeman consumer " + std::to_string(context.slot) + " " + context.options->queue;
}

std::int64_t wall_ms() {
  return std::chrono::duration_cast<Millis>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::unique_ptr<Handler> make_handler(boost::asio::io_context& io, const Options& options,
                                      LedgerWriter& ledger, StartNews news) {
  if (options.handler_mode == HandlerMode::noop) return make_noop_handler();
  HandlerSettings settings{options.handler_argv,
                           options.handler_environment,
                           options.queue,
                           options.handler_timeout,
                           options.handler_stop_grace,
                           [&ledger](std::string_view chunk) { ledger.add_stderr(chunk); },
                           number_of(options.handler_stop_signal)};
  settings.start_news = std::move(news);
  // With it what a handler started is known as ours, wherever it goes.
  if (auto fleet = fleet_variable(); !fleet.empty()) settings.environment.push_back(fleet);
  return options.handler_mode == HandlerMode::jsonl ? make_jsonl_handler(io, std::move(settings))
                                                    : make_exec_handler(io, std::move(settings));
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
      recycling_(context),
      batch_size_(options_.batch),
      vacuum_(context.scoreboard->fleet(), loop_),
      watch_(context, loop_),
      handler_(make_handler(loop_.io(), options_, ledger_, watch_.start_news())),
      bell_(loop_.io(), ::fcntl(Waker::bell_of(context, context.slot), F_DUPFD_CLOEXEC, 0)) {
  loop_.on_child_exit([this](ChildExit exit) {
    exit.out_of_memory = exit.signal == SIGKILL && oom_.explains_kill();
    handler_->on_exit(exit);
  });
}

void Consumer::run() {
  open_handler();  // a long-lived handler warms up while the database is reached
  while (!loop_.check_signals()) {
    try {
      if (!session_.connected() && !session_.connect()) break;
      work();
    } catch (const DatabaseError& error) {
      pass_on_wake_up();
      session_.failed(error);
    }
  }
  loop_.finish_draining();
  pass_on_wake_up();
  hand_back();
  close_handler();
}

/// One step; every step can be repeated after an outage.
void Consumer::work() {
  if (open_claim_ != 0) {
    give_back_claim();
    ledger_.end_claim({});
  }
  // Somebody has locked the rows of all that it did: whoever can claim is to follow.
  if (!can_claim()) pass_on_wake_up();
  if (!has_work() && !woken_ && vacuum_.take(Clock::now())) {
    settle();
    vacuum_.run(session_.queue());
  }
  const bool pause = !has_work() && just_emptied();
  const bool may_wait = handler_->failed_starts() > 0 || watch_.may_wait();
  if (pause || may_wait || !may_tell_with_claim()) settle();
  // A handler that does not start costs the queue nothing: somebody else may have a better one.
  if (!has_work() && (!watch_.may_claim(session_) || !open_handler())) return pass_on_wake_up();
  if (!has_work() && !pause && can_claim() && !claim()) return;
  if (has_work()) {
    work_off_batch();
  } else {
    watch_.idle();
    wait();
  }
}

/// While maintenance hears of new messages it wakes whoever is needed, and looks for what it missed
/// every 1.2 s: a look by each of a thousand idle consumers would find nothing.
Millis Consumer::poll_interval(TimePoint now) const {
  const auto heard = context_.scoreboard->fleet().hears_at_ms.load();
  const bool hears = heard <= to_ms(now) && heard > to_ms(now - kHearsFor);
  return hears ? std::max(options_.poll_interval, kBackstop) : options_.poll_interval;
}

void Consumer::wait() {
  bool woken = false;
  const bool may_follow = can_claim();
  Waker waker(context_);
  // Whoever shares the bell hears it too, and one of them takes the wake-up.
  const std::function<void()> listen = [&] {
    bell_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [&](const boost::system::error_code& error) {
                       eventfd_t rings = 0;
                       if (error || woken) return;
                       ::eventfd_read(bell_.native_handle(), &rings);
                       woken = waker.take();
                       if (!woken) listen();
                     });
  };
  if (may_follow) listen();
  loop_.slot().slot().listens.store(may_follow ? 1 : 0);
  const double jitter = 0.8 + 0.4 * loop_.random();
  const TimePoint looked = Clock::now();
  // Maintenance got a new session: ours may be dead, and nobody would know until it is needed.
  FleetBoard& board = context_.scoreboard->fleet();
  const auto& up = board.database_up;
  const auto up_before = up.load();
  // A handler that ended while it had nothing to do is started again.
  const auto over = [&] {
    return woken || loop_.draining() || up.load() != up_before ||
           handler_->failed_starts() > handler_failures_;
  };
  bool polls = false;
  for (TimePoint now = looked; !over(); now = Clock::now()) {
    const Millis poll = poll_interval(now);
    const auto jittered = [&](Millis time) {
      return Millis{static_cast<Millis::rep>(static_cast<double>(time.count()) * jitter)};
    };
    // One looks for all, and wakes the next if it gets all it asked for. But no session is to lie
    // unused for so long that somebody between forgets it.
    const TimePoint other = from_ms(board.polled_at_ms.load());
    const TimePoint until =
        std::min((other <= now ? std::max(looked, other) : looked) + jittered(poll),
                 looked + jittered(std::max(poll, kBackstop * options_.concurrency)));
    polls = now >= until;
    if (polls && may_follow) board.polled_at_ms.store(to_ms(now));
    if (polls || now >= next_telling()) break;
    loop_.enter(Phase::waiting);
    // After the phase was written: maintenance rests, or counts wake-ups, and then looks who waits.
    if (board.resting.load() != 0) ::eventfd_write(context_.call_fd, 1);
    woken = woken || (may_follow && waker.take());
    recycling_.look(now, handler_->pids());
    loop_.run_until([&] { return woken || handler_->failed_starts() > handler_failures_; },
                    std::min({until, next_telling(), now + kLongestSilence}));
  }
  loop_.slot().slot().listens.store(0);
  bell_.cancel();
  loop_.io().poll();
  woken_ = woken || (polls && may_follow);
}

/// Who cannot follow it leaves it to others.
void Consumer::pass_on_wake_up() {
  if (std::exchange(woken_, false)) Waker(context_).wake_one();
}

void Consumer::work_off_batch() {
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (!batch_[i].waits()) continue;
    const TimePoint now = Clock::now();
    if (loop_.check_signals(now)) return;
    // A message late in a batch, or held through an outage, may have lost its lease.
    note_lost(i);
    if (!batch_[i].lost && lease_is_old(now)) renew(i);
    if (batch_[i].lost) continue;
    // Nor does anything wait for a handler that does not start.
    const bool broken = handler_->failed_starts() > handler_failures_;
    if (held_long_enough() || broken || watch_.holds() || !open_handler()) {
      release_unstarted();
      return;
    }
    if (!worn_out(i)) run_one(i);
    // Lost while it ran: run() opens the next session, or hand_back() in a drain, and tells then.
    if (!session_.connected()) return;
    // After the last one the next claim may tell.
    const TimePoint ran_until = Clock::now();
    if (i + 1 < batch_.size() && ran_until >= next_telling()) {
          settle();
    }
    recycling_.look(ran_until, handler_->pids());
  }
}

/// The rest of the batch is for others then. Only what its handler takes counts: where the database
/// or the processors are busy, others would be no faster.
bool Consumer::held_long_enough() const {
  return batch_size_.is_auto() && handled_for_ >= BatchSize::kHoldFor;
}

/// Whatever it is that keeps this message from coming to an end (it may bring down the host): not
/// for ever.
bool Consumer::worn_out(std::size_t index) {
  Held& held = batch_[index];
  if (held.message.fruitless < options_.max_claims) return false;
  held.started = true;
  held.outcome = Outcome{Outcome::Kind::worn_out};
  held.outcome->error =
      "claimed " + std::to_string(held.message.fruitless) + " times without a run that ended";
  held.outcome->evidence.cause = Cause::worn_out;
  finish(index, Clock::now());
  return true;
}

void Consumer::run_one(std::size_t index) {
  Held& held = batch_[index];
  const log::MessageScope scope(held.message.lease.id, held.message.attempt);
  held.started = held.running = true;
  held.started_ms = wall_ms();
  const TimePoint started_at = Clock::now();
  ledger_.start(index, held.started_ms,
                started_at + options_.handler_timeout + options_.handler_stop_grace);
  loop_.slot().set_message(held.message.lease.id, held.message.attempt);
  loop_.enter(Phase::running, started_at);
  oom_.refresh(started_at);
  held.outcome = handle(index, started_at);
  held.running = false;
  const TimePoint ended_at = Clock::now();
  const auto took = ended_at - started_at;
  handled_for_ += took;
  loop_.slot().count_handler_time(took);
  batch_size_.handled(took);
  const bool released = held.outcome->kind == Outcome::Kind::released;
  const bool not_started = released && held.outcome->evidence.cause == Cause::none;
  // With a delay that grows with its claims: should it be this message that keeps the handler from
  // starting, others get their turn.
  if (not_started) {
    const auto claims = static_cast<int>(std::clamp<std::int64_t>(held.message.fence, 1, 60));
    held.outcome->after = backoff_delay(claims - 1, options_.retry_backoff,
                                        options_.retry_backoff_max, loop_.random());
  }
  watch_.judge(held.message, *held.outcome, not_started);
  finish(index, ended_at);
  if (!released) recycling_.count_message();
  if (not_started) log::error("the handler cannot be started", {{"error", held.outcome->error}});
  clean_up_strangers();
}

/// False when it does not start: the caller goes on later, with what it holds.
bool Consumer::open_handler() {
  if (const int failures = handler_->failed_starts(); failures > handler_failures_) {
    handler_failures_ = failures;
    const Millis delay =
        backoff_delay(failures - 1, kHandlerBackoff, kHandlerBackoffMax, loop_.random());
    log::warn("the handler keeps failing at its start, waiting before the next message",
              {{"failures", failures}, {"wait_ms", delay.count()}});
    const TimePoint until = Clock::now() + delay;
    pass_on_wake_up();
    while (Clock::now() < until) {
      if (loop_.draining()) return false;
      loop_.enter(Phase::waiting);
      loop_.run_until([] { return false; }, std::min(until, Clock::now() + kLongestSilence));
    }
  } else if (failures == 0) {
    handler_failures_ = 0;
  }
  try {
    handler_->open();
    return true;
  } catch (const std::system_error& error) {
    log::error("the handler cannot be started", {{"error", error.what()}});
    pass_on_wake_up();
    return false;
  }
}

void Consumer::close_handler() {
  handler_->close();
  const auto gone = [this] { return handler_->pids().empty(); };
  const TimePoint now = Clock::now();
  const TimePoint patience = now + options_.handler_stop_grace;
  while (!gone() && Clock::now() < patience) {
    // Less only where the fleet's own grace is over; a QUIT may move that while we wait.
    const TimePoint until = std::max(loop_.drain_deadline(), now) + loop_.stop_grace();
    if (Clock::now() >= until) break;
    loop_.run_until(gone, std::min(until, patience));
  }
  handler_.reset();
  kill_strangers({});
}

/// A descendant that left its process group comes to us as an orphan. A long-lived handler's own
/// children are its own business until it ends.
void Consumer::clean_up_strangers() {
  if (options_.handler_mode == HandlerMode::noop) return;
  const auto keep = handler_->pids();
  if (!keep.empty() || !has_children()) return;
  for (const auto& exit : kill_strangers(keep)) handler_->on_exit(exit);
}

}  // namespace pgforeman
