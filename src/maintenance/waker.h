#pragma once
// Wakes idle consumers through the fleet's eventfd semaphore. Fork: after.

#include <cstdint>

#include "scoreboard/child_context.h"

namespace pgforeman {

class Waker {
 public:
  explicit Waker(const ChildContext& context) : context_(context) {}

  /// As many as there is work for, and never more than wait: a unit nobody takes would wake
  /// somebody for nothing later.
  void wake_for(std::int64_t messages);

 private:
  const ChildContext& context_;
};

}  // namespace pgforeman
