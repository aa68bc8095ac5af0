#pragma once
// Children of the supervisor that it did not fork. What dead consumers' handlers left must be gone
// before their messages run again. Processes of other origin (from before the fleet, or
// left by a sidecar or a `docker exec`) are not the fleet's to end. Fork: before; the supervisor
// alone.

#include <sys/types.h>

#include <functional>
#include <span>
#include <vector>

#include "system/child_exit.h"

namespace pgforeman {

class Orphans {
 public:
  /// Spares the children that there are. Makes this process a child subreaper: orphans of a dead
  /// consumer come to it and not to init.
  Orphans();

  /// Kills the children that come from handlers: by their mark, their environment, or `sessions`,
  /// the consumers whose descendants they are. Spares the fleet's own (`is_own`) and, with a line
  /// in the log, all others.
  CleanUp end(const std::function<bool(pid_t)>& is_own, std::span<const pid_t> sessions,
              Millis patience);

  /// `pid` was reaped: its number may be reused.
  void reaped(pid_t pid);

 private:
  std::vector<pid_t> spared_;
};

}  // namespace pgforeman
