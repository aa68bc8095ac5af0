#include "consumer/runner.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <string>
#include <system_error>
#include <utility>

#include "consumer/run_end.h"
#include "fleet/phase_limits.h"
#include "process/renew_each.h"
#include "system/backoff.h"
#include "system/log.h"
#include "system/origin.h"
#include "system/resident.h"
#include "system/signals.h"
#include "text/quantity.h"

namespace pgforeman {
namespace {

constexpr Millis kHandlerBackoff{100};
constexpr Millis kHandlerBackoffMax{10000};
// How often a consumer checks the running message's lease; more often for short leases.
constexpr Millis kLeaseCheck{1000};
// How often it checks its handler's memory, if there is a limit.
constexpr Millis kMemoryCheck{500};

/// Returns null for HANDLER_MODE=noop, which runs no program.
std::unique_ptr<ProcessHandler> make_process_handler(boost::asio::io_context& io,
                                                     const Options& options, LedgerWriter& ledger,
                                                     StartReports news) {
  if (options.handler_mode == HandlerMode::noop) return nullptr;
  HandlerSettings settings{options.handler_argv,
                           options.handler_environment,
                           options.queue,
                           options.handler_timeout,
                           options.handler_stop_grace,
                           [&ledger](std::string_view chunk) { ledger.add_stderr(chunk); },
                           number_of(options.handler_stop_signal)};
  settings.start_reports = std::move(news);
  // Marks every process that a handler starts as the fleet's.
  if (auto fleet = fleet_variable(); !fleet.empty()) settings.environment.push_back(fleet);
  return options.handler_mode == HandlerMode::jsonl ? make_jsonl_handler(io, std::move(settings))
                                                    : make_exec_handler(io, std::move(settings));
}

}  // namespace

Runner::Runner(const ConsumerTools& tools, LedgerWriter& ledger, Settler& settler,
               LeaseKeeper& leases, HandlerWatch& watch)
    : tools_(tools),
      ledger_(ledger),
      settler_(settler),
      leases_(leases),
      watch_(watch),
      recycling_(tools.context, tools.loop) {
  auto processes =
      make_process_handler(tools.loop.io(), tools.options, ledger, watch.start_reports());
  processes_ = processes.get();
  if (processes) {
    handler_ = std::move(processes);
  } else {
    handler_ = make_noop_handler();
  }
  tools_.loop.on_child_exit([this](ChildExit exit) {
    exit.out_of_memory = exit.signal == SIGKILL && oom_.explains_kill();
    if (processes_ != nullptr) processes_->on_exit(exit);
  });
}

bool Runner::open(const std::function<void()>& before_wait) {
  ChildLoop& loop = tools_.loop;
  if (const int failures = handler_->failed_starts(); failures > failed_starts_) {
    failed_starts_ = failures;
    const Millis delay =
        backoff_delay(failures - 1, kHandlerBackoff, kHandlerBackoffMax, loop.random());
    log::warn("the handler keeps failing at its start, the next message is delayed",
              {{"failures", failures}, {"wait_ms", delay.count()}});
    const TimePoint until = Clock::now() + delay;
    before_wait();
    while (Clock::now() < until) {
      if (loop.draining()) return false;
      loop.enter(Phase::waiting);
      loop.pause(std::min<Clock::duration>(until - Clock::now(), kLongestSilence));
    }
  } else if (failures == 0) {
    failed_starts_ = 0;
  }
  try {
    handler_->open();
    return true;
  } catch (const std::system_error& error) {
    log::error("the handler cannot be started", {{"error", error.what()}});
    before_wait();
    return false;
  }
}

bool Runner::held_long_enough() const {
  // The database's time does not count: while it is busy other consumers would be no faster.
  return tools_.batch_size.is_auto() && handled_for_ >= BatchSize::kHoldFor;
}

void Runner::run(std::size_t index) {
  const LeasedMessage& m = tools_.batch[index];
  const Options& options = tools_.options;
  const log::MessageScope scope(m.message.id, m.message.attempt);
  const TimePoint started_at = Clock::now();
  tools_.batch.start(index, wall_ms(),
                     started_at + options.handler_timeout + options.handler_stop_grace);
  tools_.loop.slot().set_message(m.message.id, m.message.attempt);
  tools_.loop.enter(Phase::running, started_at);
  oom_.refresh(started_at);
  if (!m.message.has_payload && !read_payload(index)) return;
  Outcome outcome = handle(index, started_at);
  const TimePoint ended_at = Clock::now();
  const auto took = ended_at - started_at;
  handled_for_ += took;
  tools_.loop.slot().count_handler_time(took);
  tools_.batch_size.handled(took);
  const bool released = outcome.kind == Outcome::Kind::released;
  const bool not_started = released && outcome.evidence.cause == Cause::none;
  // The delay grows with the message's claims, so that others run first: the message itself may
  // keep the handler from starting.
  if (not_started) {
    const auto claims = static_cast<int>(std::clamp<std::int64_t>(m.message.fence, 1, 60));
    outcome.after = backoff_delay(claims - 1, options.retry_backoff, options.retry_backoff_max,
                                  tools_.loop.random());
  }
  watch_.record_run(m.message, outcome, not_started);
  if (!released) recycling_.count_message();
  if (not_started) log::error("the handler cannot be started", {{"error", outcome.error}});
  settler_.end(index, std::move(outcome), ended_at);
  end_orphans();
}

/// Reads the payload that a careful claim left out. The message counts as running meanwhile: a
/// death is charged to it. False if the message has ended: its payload cannot be read, which counts
/// a crash, or its lease is lost. Throws DatabaseError.
bool Runner::read_payload(std::size_t index) {
  const TimePoint now = Clock::now();
  const Lease lease = tools_.batch[index].message.lease();
  tools_.loop.enter(Phase::claiming, now);
  for (bool again = false;; again = true) {
    try {
      if (auto found = tools_.session.queue().payload_of(lease)) {
        tools_.batch.set_payload(index, std::move(found->first), std::move(found->second));
        tools_.loop.enter(Phase::running);
        return true;
      }
      settler_.end(index, Outcome{Outcome::Kind::released}, now);
      return false;
    } catch (const DatabaseError& error) {
      // Twice in a row: this payload ends the server's process.
      const bool lost = error.kind() == DatabaseError::Kind::connection;
      const bool lost_twice = lost && tools_.queue().unread_id.exchange(lease.id) == lease.id;
      // The payload is at fault only if the row can be renewed (not if it is locked, say).
      if (!lost_twice &&
          (error.is_of_session() ||
           !can_be_renewed(tools_.session.queue(), lease, tools_.options.visibility_timeout))) {
        settler_.end(index, Outcome{Outcome::Kind::released}, now);
        throw;
      }
      if (!lost && !again) continue;  // a cancellation or a lack of memory may pass
      Outcome outcome{Outcome::Kind::crash};
      outcome.error = std::string("its payload cannot be read: ") + error.what();
      outcome.evidence.cause = Cause::unreadable;
      log::error("message cannot be read", {{"error", error.what()}});
      settler_.end(index, std::move(outcome), now);
      if (lost) throw;
      return false;
    }
  }
}

Outcome Runner::handle(std::size_t index, TimePoint started_at) {
  ChildLoop& loop = tools_.loop;
  std::optional<Outcome> outcome;
  handler_->run(tools_.batch[index].message, [&](Outcome made) { outcome = std::move(made); });
  if (const auto running = pids(); !running.empty()) ledger_.set_handler(running.front());
  const auto finished = [&] { return outcome.has_value(); };
  const std::int64_t most_memory = tools_.options.handler_max_memory.bytes;
  const Millis between_checks =
      std::min(most_memory > 0 ? kMemoryCheck : kLeaseCheck, tools_.options.visibility_timeout / 6);
  Stops sent;
  bool released_rest = false;
  tools_.session.set_running(true);
  const TimePoint hold_rest_until = tools_.batch_size.is_auto()
                                        ? started_at + (BatchSize::kHoldFor - handled_for_)
                                        : TimePoint::max();
  while (!outcome) {
    const TimePoint begin = Clock::now();
    if (!released_rest && (loop.draining() || begin >= hold_rest_until)) {
      released_rest = true;
      settler_.release_waiting();
    }
    if (begin >= settler_.due()) settler_.settle_while_running();
    TimePoint next = std::min(begin + between_checks, settler_.due());
    if (!released_rest) next = std::min(next, hold_rest_until);
    if (loop.draining() && !sent.shutdown) next = std::min(next, loop.drain_deadline());
    loop.run_until(finished, next);
    if (outcome) break;
    stop_for_drain(sent);
    if (most_memory > 0) check_memory(most_memory);
    leases_.check_running(index);
    if (tools_.batch[index].is_lost() && !sent.lease_lost) {
      sent.lease_lost = true;
      handler_->stop(StopReason::lease_lost, tools_.options.handler_stop_grace);
    }
  }
  tools_.session.set_running(false);
  return unless_signalled(std::move(*outcome), started_at);
}

/// Stops the handler at the drain's deadline; once more if the drain is hurried later.
void Runner::stop_for_drain(Stops& sent) {
  const ChildLoop& loop = tools_.loop;
  const bool hurries = loop.hurried() && !sent.hurried;
  if (!loop.draining() || (sent.shutdown && !hurries)) return;
  if (Clock::now() < loop.drain_deadline()) return;
  handler_->stop(StopReason::shutdown, loop.stop_grace());
  sent.shutdown = true;
  sent.hurried = loop.hurried();
}

/// Returns `outcome`, or if a signal from outside may have ended the process: in a drain a release,
/// otherwise a failed run (see run_end.h). May wait half a second for that signal or drain.
Outcome Runner::unless_signalled(Outcome outcome, TimePoint started_at) {
  if (!is_by_exit(outcome)) return outcome;
  ChildLoop& loop = tools_.loop;
  const TimePoint ended_at = Clock::now();
  loop.read_signals();
  for (;;) {
    RunEnd end{started_at, ended_at, loop.signalled_at(), std::nullopt};
    if (loop.draining()) end.drains_since = loop.drains_since();
    end.fleet_stops = tools_.fleet().is_stopping();
    end.stop_signal = number_of(tools_.options.handler_stop_signal);
    const Ruling ruling = rule_on(outcome, end, Clock::now());
    if (ruling.kind == Ruling::Kind::stands) return outcome;
    if (ruling.kind != Ruling::Kind::wait) return ruled(std::move(outcome), ruling.kind);
    loop.run_until([&] { return loop.signalled_at() != end.signalled_at; }, ruling.until);
  }
}

void Runner::close() {
  handler_->close();
  const auto gone = [this] { return pids().empty(); };
  const TimePoint now = Clock::now();
  const TimePoint patience = now + tools_.options.handler_stop_grace;
  while (!gone() && Clock::now() < patience) {
    // Waits until `patience`, or until the drain ends, which a QUIT may bring forward.
    const TimePoint until = std::max(tools_.loop.drain_deadline(), now) + tools_.loop.stop_grace();
    if (Clock::now() >= until) break;
    tools_.loop.run_until(gone, std::min(until, patience));
  }
  processes_ = nullptr;
  handler_.reset();
  kill_orphans({});
}

std::vector<pid_t> Runner::pids() const {
  return processes_ != nullptr ? processes_->pids() : std::vector<pid_t>{};
}

/// Measures all descendants of this consumer: the handler's process and what it started, orphans
/// included.
void Runner::check_memory(std::int64_t most) {
  const std::int64_t held = resident_bytes_of_tree(::getpid()) - resident_bytes(::getpid());
  if (held <= most || processes_ == nullptr) return;
  processes_->kill_for_memory("held " + std::to_string(held >> 20U) + " MiB of memory, above " +
                              format_byte_size({most}) + " (HANDLER_MAX_MEMORY)");
}

/// Kills descendants that left the handler's process group: they come to this process as orphans.
/// The children of a long-lived handler are left alone until it ends.
void Runner::end_orphans() {
  if (processes_ == nullptr || !processes_->pids().empty() || !has_children()) return;
  for (const auto& exit : kill_orphans({})) processes_->on_exit(exit);
}

}  // namespace pgforeman
