#pragma once
// Wakes idle consumers through the fleet's eventfd semaphore. Fork: after.

#include <cstdint>

#include "scoreboard/child_context.h"

namespace pgforeman {

class Waker {
 public:
  explicit Waker(const ChildContext& context) : context_(context) {}

  /// As many as that is work for, by how much each claimed last, or as were called before and have
  /// not come yet; never more than wait: a unit nobody takes would wake somebody for nothing later.
  void wake_for(std::int64_t messages);
  /// How many are idle.
  int waiting() const;

 private:
  /// Calls `with` for each idle consumer's slot, while that returns true.
  template <typename With>
  void each_waiting(With&& with) const;

  const ChildContext& context_;
};

}  // namespace pgforeman
