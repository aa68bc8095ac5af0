#pragma once
// Ends orphans: children of the supervisor that it did not fork. Processes left by handlers of dead
// consumers must be gone before the messages run again. Processes from before the fleet, from a
// sidecar or from `docker exec` are left alone. Fork: before; the supervisor alone.

#include <sys/types.h>

#include <functional>
#include <span>
#include <vector>

#include "system/child_exit.h"

namespace pgforeman {

class Orphans {
 public:
  /// Spares all children that exist now. Makes this process a child subreaper: it then becomes the
  /// parent of a dead consumer's orphans, instead of init.
  Orphans();

  /// Kills children that come from handlers, known by their mark, their environment, or their
  /// session: `sessions` are those of dead consumers. Spares the fleet's own children (`is_own`)
  /// and, with a line in the log, all others.
  CleanUp end(const std::function<bool(pid_t)>& is_own, std::span<const pid_t> sessions,
              Millis patience);

  /// Call when `pid` was reaped: forgets it, as the process id may be reused.
  void reaped(pid_t pid);

 private:
  std::vector<pid_t> spared_;
};

}  // namespace pgforeman
