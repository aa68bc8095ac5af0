#pragma once
// Wakes idle consumers. Wake-ups are a shared counter. An idle consumer decrements it to take one;
// a consumer that is about to sleep checks it first, so none is lost. Bells (eventfds) say that
// there is one. There are several, as every process that listens to a bell wakes up when it rings;
// consumers share them by their slots.
// Fork: after.

#include <cstdint>

#include "base/clock.h"
#include "scoreboard/child_context.h"

namespace pgforeman {

class Waker {
 public:
  explicit Waker(const ChildContext& context) : context_(context) {}

  /// As many as that is work for, by how much each claimed last; those that were called before and
  /// have not come yet count. Where too few wait, also the next to fall asleep.
  void wake_for(std::int64_t messages);
  /// One other, be it the next to fall asleep.
  void wake_one();
  /// Consumer, from when its phase says that it waits: whether it is woken.
  bool take();
  /// How many are idle, be it that they wait for a handler that does not start.
  int waiting() const;

  /// Maintenance: others, when consumers whose bells rang do not come: they may have been stopped.
  void run_once();
  TimePoint next() const { return next_; }

  /// The one that the consumer in this slot listens to.
  static int bell_of(const ChildContext& context, int slot);

 private:
  /// Calls `with` for each idle consumer's slot, while that returns true.
  template <typename With>
  void each_waiting(With&& with) const;
  bool ring(std::uint32_t count);

  const ChildContext& context_;
  TimePoint next_ = TimePoint::max();
  TimePoint until_;  ///< looks for consumers that do not come
};

}  // namespace pgforeman
