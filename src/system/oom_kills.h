#pragma once
// Whether the kernel ended a process for lack of memory: its SIGKILL looks like any other, but the
// cgroup counts. Reads files; fork: either (each process has its own).

#include <cstdint>
#include <filesystem>
#include <optional>

#include "system/clock.h"

namespace pgforeman {

/// Processes of this process's cgroup (and those below) that the kernel ended for lack of memory,
/// so far: v2's memory.events, v1's memory.oom_control. Nothing where it cannot be read.
std::optional<std::int64_t> cgroup_oom_kills(const std::filesystem::path& root = "/");

/// Separates new kills from old ones.
class OomWatch {
 public:
  explicit OomWatch(std::filesystem::path root = "/");

  /// Forgets kills of more than a second or two ago, so that they explain no later death: a large
  /// process takes its time to die after it was counted. Cheap: reads once a second at most.
  void refresh(TimePoint now);
  /// A process was just killed by a SIGKILL that is not ours: was it for lack of memory? One kill
  /// explains one death.
  bool explains_kill();

 private:
  std::filesystem::path root_;
  std::int64_t known_ = 0;  ///< explained, or too long ago
  std::int64_t last_look_ = 0;
  TimePoint looked_at_;
};

}  // namespace pgforeman
