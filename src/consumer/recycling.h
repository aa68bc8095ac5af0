#pragma once
// When a child has handled or holds enough: says so in the scoreboard and goes on working; the
// supervisor tells it to end when its turn has come. Fork: after.

#include <sys/types.h>

#include <optional>
#include <vector>

#include "base/clock.h"
#include "scoreboard/child_context.h"
#include "scoreboard/recycle.h"

namespace pgforeman {

class Recycling {
 public:
  explicit Recycling(const ChildContext& context);

  void count_message();
  /// Between messages: measures this process and its handler's, when that is due.
  void look(TimePoint now, const std::vector<pid_t>& handlers);

 private:
  void wish(const RecycleWish& wish, std::int64_t limit);

  SlotWriter slot_;
  const std::int64_t most_messages_;  ///< 0: never
  const std::int64_t most_bytes_;     ///< 0: never
  std::int64_t messages_ = 0;
  bool unmeasured_ = false;  ///< a message was handled since the last measurement
  std::optional<TimePoint> measured_at_;
  bool wished_ = false;
};

}  // namespace pgforeman
