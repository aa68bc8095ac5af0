#pragma once
// Starts one program with pipes on its three standard streams. The only place that makes a process
// which is not a child of the fleet. Fork: after (the consumer); single-threaded.

#include <sys/types.h>

#include <string>
#include <vector>

#include "system/fd.h"

namespace pgforeman {

/// A started program, leader of its own process group: `pid` is also the group's id.
struct Spawned {
  pid_t pid = 0;
  UniqueFd in;   ///< write end of its stdin
  UniqueFd out;  ///< read end of its stdout
  UniqueFd err;  ///< read end of its stderr
};

/// Starts `argv` (argv[0] is a path, not searched for) with exactly `environment` ("KEY=value").
/// The caller's own descriptors 0 to 2 must be open: main() sees to it.
///
/// The program gets default signal dispositions, an empty signal mask, blocking pipes as its
/// descriptors 0, 1 and 2 and no other descriptor, and dies (SIGKILL) with the calling process. It
/// has the fleet's mark (system/origin.h) and a higher oom_score_adj than the caller. Working
/// directory, umask and all other limits are inherited. Blocks until the program was executed.
///
/// Throws std::system_error naming the step and the program, also when exec fails; the process that
/// failed to exec is left to the caller's reaper, as every other child is.
[[nodiscard]] Spawned spawn(const std::vector<std::string>& argv,
                            const std::vector<std::string>& environment);

}  // namespace pgforeman
