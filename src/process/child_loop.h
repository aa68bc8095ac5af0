#pragma once
// The loop of a forked child: its own io_context, its signals, its phase in the scoreboard.
// Consumer and maintenance are written as plain sequential code on top of it. Fork: after.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <optional>

#include "fleet/child_context.h"
#include "fleet/phase_limits.h"
#include "fleet/scoreboard.h"
#include "system/child_exit.h"
#include "system/clock.h"

namespace pgforeman {

class ChildLoop {
 public:
  explicit ChildLoop(const ChildContext& context);

  /// Called for every child of this process that was reaped.
  void on_child_exit(std::function<void(const ChildExit&)> callback) {
    on_child_exit_ = std::move(callback);
  }

  /// Publishes the phase with its deadline.
  void enter(Phase phase) { enter(phase, Clock::now()); }
  void enter(Phase phase, TimePoint now) { slot_.enter(phase, now, limits_[phase]); }
  /// Publishes a new deadline of the phase, if it is one of a call to the database, which goes on.
  /// Async-signal-safe.
  void renew_phase();
  Slot& slot() { return slot_; }

  /// Runs callbacks until `done` returns true, `deadline` passes, or draining begins (unless it had
  /// begun before the call).
  void run_until(const std::function<bool()>& done, TimePoint deadline);
  void pause(Clock::duration time);

  /// Reads pending signals without waiting, at most once a millisecond: between a TERM and the next
  /// message no callback may have run. Returns draining().
  bool check_signals() { return check_signals(Clock::now()); }
  bool check_signals(TimePoint now);
  bool draining() const { return drain_deadline_.has_value(); }
  /// Begins to drain, as the drain signal does.
  void drain() { drain_by(end_of_grace()); }
  /// When the patience with running handlers ends. Only while draining.
  TimePoint drain_deadline() const { return *drain_deadline_; }
  /// When draining began; only while draining.
  TimePoint drains_since() const { return drains_since_; }
  /// True after QUIT or a second INT: the patience has ended.
  bool hurried() const { return hurried_; }
  /// Between a handler's stop signal and KILL.
  Millis stop_grace() const;
  /// When TERM, INT, HUP or QUIT last reached this child. Nothing of the fleet sends them to a
  /// child, and a signal to the supervisor's process group does not reach it: whatever sent it sent
  /// it to every process, handlers included (systemd's KillMode=control-group, killall5).
  std::optional<TimePoint> signalled_at() const { return signalled_at_; }
  /// Reads pending signals now, whenever that was last done.
  void read_signals();

  boost::asio::io_context& io() { return io_; }
  double random();  ///< in [0, 1)

 private:
  void wait_for_signals();
  void drain_by(TimePoint deadline);
  TimePoint end_of_grace() const;

  const ChildContext& context_;
  PhaseLimits limits_;
  Slot& slot_;
  boost::asio::io_context io_;
  boost::asio::posix::stream_descriptor signals_;
  boost::asio::steady_timer timer_;
  TimePoint checked_at_;
  std::optional<TimePoint> drain_deadline_;
  TimePoint drains_since_;
  std::optional<TimePoint> signalled_at_;
  bool hurried_ = false;
  std::function<void(const ChildExit&)> on_child_exit_;
};

}  // namespace pgforeman
