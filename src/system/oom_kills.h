#pragma once
// Detects whether the kernel killed a process for lack of memory. This SIGKILL looks like any
// other, but the cgroup counts it. Reads files; fork: either (each process has its own OomWatch).

#include <cstdint>
#include <filesystem>
#include <optional>

#include "system/clock.h"

namespace pgforeman {

/// Returns how many processes of this process's cgroup, and of cgroups below, the kernel has killed
/// for lack of memory. Reads v2's memory.events or v1's memory.oom_control; nothing if unreadable.
std::optional<std::int64_t> cgroup_oom_kills(const std::filesystem::path& root = "/");

/// Decides whether a kill for lack of memory explains a death.
class OomWatch {
 public:
  explicit OomWatch(std::filesystem::path root = "/");

  /// Forgets kills that were counted more than one to two seconds ago, so that they explain no
  /// later death. Newer ones count: a large process dies some time after it was counted. Reads once
  /// a second at most.
  void refresh(TimePoint now);
  /// True if lack of memory explains a SIGKILL that just came from outside the fleet. One kill
  /// explains one death.
  bool explains_kill();

 private:
  std::filesystem::path root_;
  std::int64_t used_kills_ = 0;  ///< number of kills that explained a death or are too old
  std::int64_t last_count_ = 0;
  TimePoint read_at_;
};

}  // namespace pgforeman
