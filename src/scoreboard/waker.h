#pragma once
// Wakes idle consumers, one for a unit, through the fleet's eventfd semaphores. Several, because
// everybody who watches one wakes up for each unit of it: consumers share them by their slots.
// Fork: after.

#include <array>
#include <cstdint>

#include "base/clock.h"
#include "scoreboard/child_context.h"

namespace pgforeman {

class Waker {
 public:
  explicit Waker(const ChildContext& context) : context_(context) {}

  /// As many as that is work for, by how much each claimed last, without those that are on their
  /// way. Always the same first: theirs are then the sessions that have all at hand.
  void wake_for(std::int64_t messages);
  /// How many are idle.
  int waiting() const;

  /// The semaphore that the consumer in this slot is to watch.
  static int watched_by(const ChildContext& context, int slot);

 private:
  /// Calls `with` for each idle consumer's slot, while that returns true.
  template <typename With>
  void each_waiting(With&& with) const;

  const ChildContext& context_;
  /// When each semaphore was last given a unit from here.
  std::array<TimePoint, kWakeFds> given_at_{};
};

}  // namespace pgforeman
