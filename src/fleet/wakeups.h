#pragma once
// Wakes idle consumers: adds wake-ups to the board, and notifies sleepers by the wakeup fds, which
// are eventfds. There are several, as a write wakes every process that waits for one; consumers
// share them by their slots. Fork: after.

#include <cstdint>

#include "fleet/child_context.h"
#include "system/clock.h"

namespace pgforeman {

class Wakeups {
 public:
  explicit Wakeups(const ChildContext& context) : context_(context) {}

  /// Wakes idle consumers until their last batch sizes add up to `messages`. Wake-ups that are not
  /// taken yet count. If too few are idle, leaves one more for the next to become idle.
  void wake(std::int64_t messages);
  /// Wakes one idle consumer, or the next to become idle.
  void wake_one();
  /// Number of idle consumers, including those that wait for their handler to start.
  int waiting() const;

  /// Maintenance: notifies others while a wake-up is left, as the notified ones may be stopped.
  void run_once();
  TimePoint next() const { return next_; }

  /// The wakeup fd that the consumer in this slot waits for.
  static int wakeup_fd_of(const ChildContext& context, int slot);

 private:
  /// Calls `with` for each idle consumer's slot, while that returns true.
  template <typename With>
  void each_waiting(With&& with) const;
  bool notify(std::uint32_t count);

  const ChildContext& context_;
  TimePoint next_ = TimePoint::max();
  TimePoint until_;  ///< until when to notify other consumers
};

}  // namespace pgforeman
