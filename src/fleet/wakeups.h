#pragma once
// Wakes idle consumers. Wake-ups are a shared counter. An idle consumer decrements it to take one;
// a consumer that is about to sleep checks it first, so none is lost. Eventfds, the wakeup fds,
// tell sleepers that the counter is not 0. There are several, as a write wakes every process that
// waits for one; consumers share them by their slots. Fork: after.

#include <cstdint>

#include "fleet/child_context.h"
#include "system/clock.h"

namespace pgforeman {

class Wakeups {
 public:
  explicit Wakeups(const ChildContext& context) : context_(context) {}

  /// As many as that is work for, by how much each claimed last; those that were called before and
  /// have not come yet count. Where too few wait, also the next to fall asleep.
  void wake(std::int64_t messages);
  /// One other, be it the next to fall asleep.
  void wake_one();
  /// Consumer, from when its phase says that it waits: whether it is woken.
  [[nodiscard]] bool take();
  /// How many are idle, be it that they wait for a handler that does not start.
  int waiting() const;

  /// Maintenance: notifies others if the notified consumers take no wake-up: they may be stopped.
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
  TimePoint until_;  ///< looks for consumers that do not come
};

}  // namespace pgforeman
