#pragma once
// Ends a blocking call on a socket that stays silent: a POSIX timer signals this very thread, and
// the handler calls shutdown() on the socket, so that the call returns with a lost connection.
//
// TCP options do not see a stopped server, and nothing but this sees one at a unix socket.
// Uses the real-time signal SIGRTMIN + 3, unblocked in the thread that arms it. Timers do not
// survive fork or exec, and exec resets the handler. Fork: after.

#include <atomic>
#include <csignal>
#include <ctime>

#include "system/clock.h"

namespace pgforeman {

class Watchdog {
 public:
  Watchdog() = default;
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// From now on `fd` has `limit` until it is shut down. Limit 0: nothing is watched. Throws
  /// std::system_error when the system gives no timer.
  void arm(int fd, Millis limit);

  /// Stops watching. After it returned the descriptor is not touched any more.
  void disarm() noexcept;

  /// True when the last watch ran out of time.
  bool fired() const { return fired_.load(std::memory_order_relaxed); }

 private:
  static void on_signal(int, siginfo_t* info, void*);
  void make_timer();

  timer_t timer_{};
  pid_t thread_ = 0;  ///< whose signal the timer is; 0: no timer yet
  std::atomic<int> fd_{-1};
  std::atomic<bool> fired_{false};
};

}  // namespace pgforeman
