#include "maintenance/maintenance.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <algorithm>

#include "process/child_main.h"
#include "system/backoff.h"
#include "system/fork.h"
#include "system/log.h"

namespace pgforeman {
namespace {

// Short, as maintenance finds out for the whole fleet that the database is back.
constexpr Millis kReconnectCap{500};
constexpr Millis kLastRescueRetry{10};
constexpr Millis kLongestWait{1000};
// Without notifications only a sweep finds messages below the marks, and each sweep costs.
constexpr Millis kSweepWhilePolling{250};
// How long a fleet that stops searches for claims in doubt: a claim takes milliseconds.
constexpr Millis kLastSearches{500};

}  // namespace

void maintenance_main(const ChildContext& context) noexcept {
  end_fleet_with_parent();
  run_child("maintenance", shown_slot(kMaintenanceSlot), context,
            [&] { Maintenance(context).run(); });
}

Maintenance::Maintenance(const ChildContext& context)
    : context_(context),
      loop_(context),
      session_(context, loop_, "pgforeman maintenance " + context.options->queue, kReconnectCap),
      wakeups_(context),
      tools_{context_, loop_, session_, wakeups_},
      rescue_(tools_),
      renewal_(tools_),
      listener_(tools_),
      sweeper_(tools_),
      refusals_(tools_, Duty::promote),
      notifier_(tools_, listener_, sweeper_, refusals_),
      scheduler_(tools_, sweeper_, refusals_),
      calls_(loop_.io(), ::fcntl(context.maintenance_fd, F_DUPFD_CLOEXEC, 0)) {}

void Maintenance::run() {
  while (!loop_.check_signals()) {
    try {
      if (!session_.connected()) {
        listener_.close();
        if (!session_.connect()) break;
        notifier_.session_opened();
        scheduler_.session_opened();
        sweeper_.start_over();
      }
      work();
      wait_for_work();
    } catch (const DatabaseError& error) {
      session_.failed(error);
    }
  }
  last_rescue();
  save_marks();
}

/// At the end of the fleet.
void Maintenance::save_marks() {
  if (!tools_.fleet().is_stopping() || !session_.connected()) return;
  try {
    sweeper_.save_marks();
  } catch (const DatabaseError& error) {
    log::debug("low-water marks not saved", {{"reason", error.what()}});
  }
}

/// Messages that are still in ledgers when the fleet's time is over wait for their leases to end.
void Maintenance::last_rescue() {
  const TimePoint last_search = Clock::now() + kLastSearches;
  rescue_.make_due();
  for (int failures = 0;; ++failures) {
    loop_.enter(Phase::draining);
    try {
      if (session_.connected() || session_.try_connect()) rescue_.run_once();
    } catch (const DatabaseError& error) {
      session_.drop(error);
    }
    // If only this process is replaced, its successor does the rest.
    const bool fleet_stops = tools_.fleet().is_stopping();
    const TimePoint now = Clock::now();
    const bool searching = rescue_.next() != TimePoint::max() && now < last_search;
    const bool left = rescue_.unsettled() || searching;
    if (!fleet_stops || !left || now >= loop_.drain_deadline()) return;
    if (session_.connected() && rescue_.out_of_time()) {
      failures = -1;
      loop_.check_signals();
      continue;
    }
    loop_.pause(std::min(std::chrono::ceil<Millis>(loop_.drain_deadline() - now),
                         backoff_delay(failures, kLastRescueRetry, kReconnectCap, loop_.random())));
  }
}

void Maintenance::work() {
  // First, as messages wait for their rescue.
  run(Duty::rescue, [this] {
    if (rescue_.run_once()) scheduler_.soon();
    return !rescue_.any_deferred();
  });
  run(Duty::wake, [this] { return take_notifications(); });
  if (Clock::now() >= renewal_.next()) {
    run(Duty::renew, [this] {
      renewal_.run_once();
      return true;
    });
  }
  run(Duty::sweep, [this] { return sweeper_.run_once(); });
  if (Clock::now() >= scheduler_.next()) {
    run(Duty::promote, [this] { return scheduler_.run_once(); });
  }
  wakeups_.run_once();
  // Notifications that came with an answer no longer make the socket readable.
  run(Duty::wake, [this] { return take_notifications(); });
  // Last: consumers rely on wake-ups for messages that any duty finds.
  if (listener_.works()) {
    tools_.queue().wakeups.record_listening(Clock::now());
  }
}

/// Runs a duty, unless it rests after a failure: another duty never waits for it, and its error
/// does not cost the session. `work` returns false if it has reported a failure itself. Throws
/// DatabaseError if the session is at fault.
template <typename Work>
void Maintenance::run(Duty duty, Work&& work) {
  DutyRest& rest = rest_of(duty);
  if (rest.rests(Clock::now())) return;
  DutyBoard& board = tools_.queue().duties;
  const auto answers = session_.answers();
  try {
    if (!work()) return;
  } catch (const DatabaseError& error) {
    if (error.is_of_session()) {
      // If this duty's message ends the server's process, other duties come first from now on.
      rest.failed(Clock::now());
      throw;
    }
    rest.failed(Clock::now());
    tools_.duty_failed(duty, error.what());
    return;
  }
  // It may have had nothing to do; of rescues, none is then left.
  if (session_.answers() == answers && duty != Duty::rescue) return;
  rest = {};
  if (!board.worked(duty)) return;  // it did not fail, in this process or the one before
  log::info("maintenance duty works again", {{"duty", to_string(duty)}});
}

/// While a duty rests the loop still reports that maintenance lives: consumers rely on that.
TimePoint Maintenance::longest_wait() const {
  const TimePoint now = Clock::now();
  const bool any = std::any_of(rests_.begin(), rests_.end(),
                               [now](const DutyRest& rest) { return rest.rests(now); });
  return any ? now + kLongestWait : TimePoint::max();
}

/// When to run a duty that wants to run at `next`.
TimePoint Maintenance::due(Duty duty, TimePoint next) {
  return std::max(next, rest_of(duty).until());
}

bool Maintenance::take_notifications() {
  const auto received = listener_.run_once();
  notifier_.received(received.now);
  const auto found = notifier_.run_once();
  if (received.later) scheduler_.soon();
  if (found.due) scheduler_.due_in(*found.due);
  if (received.now > 0 || received.later) sweeper_.soon();
  if (found.messages && Clock::now() >= may_sweep_at_) {
    may_sweep_at_ = Clock::now() + kSweepWhilePolling;
    sweeper_.soon();
  }
  return !listener_.is_locked_out();
}

void Maintenance::wait_for_work() {
  loop_.enter(Phase::waiting);
  bool called = false;
  calls_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [&](const boost::system::error_code& error) {
                      eventfd_t count = 0;
                      if (!error) called = ::eventfd_read(context_.maintenance_fd, &count) == 0;
                    });
  bool notified = false;
  listener_.wait([&] { notified = true; });
  loop_.run_until([&] { return called || notified; },
                  std::min({due(Duty::promote, scheduler_.next()),
                            due(Duty::rescue, rescue_.next()), due(Duty::renew, renewal_.next()),
                            due(Duty::wake, std::min(listener_.next(), notifier_.next())),
                            due(Duty::sweep, sweeper_.next()), wakeups_.next(), longest_wait()}));
  calls_.cancel();
  listener_.cancel();
  loop_.io().poll();
  if (called) scheduler_.soon();
}

}  // namespace pgforeman
