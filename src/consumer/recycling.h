#pragma once
// Ends a child at MAX_MESSAGES or MAX_MEMORY: records the limit in the scoreboard, then drains.
// Fork: after.

#include <sys/types.h>

#include <optional>
#include <vector>

#include "fleet/recycle.h"
#include "process/child_loop.h"

namespace pgforeman {

class Recycling {
 public:
  Recycling(const ChildContext& context, ChildLoop& loop);

  /// A message was handled.
  void count_message();
  /// Call between messages. Measures this process and its handler's once a second at most.
  void measure(TimePoint now, const std::vector<pid_t>& handlers);

 private:
  void end(const ReachedLimit& reached, std::int64_t limit);

  ChildLoop& loop_;
  const std::int64_t most_messages_;  ///< 0: never
  const std::int64_t most_bytes_;     ///< 0: never
  std::int64_t messages_ = 0;
  bool unmeasured_ = false;  ///< a message was handled since the last measurement
  std::optional<TimePoint> measured_at_;
};

}  // namespace pgforeman
