#pragma once
// Ends a blocking call on a silent socket. A POSIX timer signals the calling thread, and the
// handler calls shutdown() on the socket, so that the call returns with a lost connection.
//
// TCP options do not notice a stopped server; on a unix socket only this watchdog does. Uses the
// real-time signal SIGRTMIN + 3, unblocked in the thread that arms it. Timers do not survive fork
// or exec, and exec resets the handler. Fork: after.

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

  /// Called from a signal handler when the watched call goes on, as data still arrives.
  using Progress = void (*)(void* context);

  /// Shuts `fd` down after `limit` without data on it, unless disarmed before. (On a local socket,
  /// where the kernel does not know: after `limit`.) Limit 0: watches nothing. Throws
  /// std::system_error if the system gives no timer.
  void arm(int fd, Millis limit);
  void set_progress(Progress progress, void* context) {
    progress_ = progress;
    context_ = context;
  }

  /// Stops watching. After it has returned, the descriptor is not touched any more.
  void disarm() noexcept;

  /// True if the last watch ran out of time.
  bool fired() const { return fired_.load(std::memory_order_relaxed); }

 private:
  static void on_signal(int, siginfo_t* info, void*);
  void make_timer();

  timer_t timer_{};
  pid_t thread_ = 0;  ///< the thread that the timer signals; 0: no timer yet
  std::atomic<int> fd_{-1};
  std::atomic<bool> fired_{false};
  // For the signal handler; written while the timer is off.
  Millis limit_{0};
  int rounds_ = 0;
  Progress progress_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace pgforeman
