#pragma once
// Starts one program with pipes on its three standard streams. No other code makes a process that
// is not one of the fleet's own. Fork: after (the consumer); single-threaded.

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "system/fd.h"

namespace pgforeman {

/// A started program. It leads its own process group: `pid` is also the group's id.
struct Spawned {
  pid_t pid = 0;
  UniqueFd in;                 ///< write end of its stdin
  UniqueFd out;                ///< read end of its stdout
  UniqueFd err;                ///< read end of its stderr
  std::size_t input_sent = 0;  ///< bytes of the input that are in its stdin
};

/// Starts `argv` with exactly `environment` ("KEY=value"). argv[0] is a path; PATH is not searched.
/// The caller's own descriptors 0 to 2 must be open; main() ensures this.
///
/// The program gets default signal dispositions and an empty signal mask. Its only descriptors are
/// 0, 1 and 2, blocking pipes. It dies (SIGKILL) with the calling process. It has the fleet's mark
/// (system/origin.h) and a higher oom_score_adj than the caller. Working directory, umask and all
/// other limits are inherited. Blocks until exec has succeeded or failed.
///
/// Before the start, puts as much of `input` into its stdin as the pipe takes, usually 64 KiB: if
/// the caller is killed after the start, the program must not take a part of its input for the
/// whole.
///
/// Throws std::system_error that names the step and the program, also if exec fails. The caller's
/// reaper must then reap the process that failed to exec, like every other child.
[[nodiscard]] Spawned spawn(const std::vector<std::string>& argv,
                            const std::vector<std::string>& environment,
                            std::string_view input = {});

}  // namespace pgforeman
