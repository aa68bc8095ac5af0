#pragma once
// How a child process ended, and the one place that waits for children. Fork: either.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "system/clock.h"

namespace pgforeman {

struct ChildExit {
  pid_t pid = 0;
  int exit_code = -1;  ///< valid when signal == 0
  int signal = 0;      ///< the signal that killed it; 0 = it exited
  bool core_dumped = false;
  bool out_of_memory = false;     ///< the kernel's kill, by the cgroup's count: see oom_kills.h
  std::int64_t peak_rss_kib = 0;  ///< "at most": it starts at the parent's own size at fork

  /// "exited with code 3", "killed by SIGSEGV (core dumped)", "killed by SIGKILL (out of memory)".
  std::string explain() const;
};

/// Reaps one ended child of this process, whichever it is; nothing when none has ended.
/// The only wait call of the daemon: nothing else may reap, so a pid in a table is never reused.
std::optional<ChildExit> reap_one();

/// False when this process has no child at all, running or ended: a cheap check before a scan.
bool has_children();

/// Opens what the functions below read children from, so that they need no free descriptor. Once a
/// process, first thing; without it (and where the kernel does not offer it) they scan /proc.
void open_child_list();

/// The children there are: what an entrypoint started before it became this process.
std::vector<pid_t> children_now();

/// True when the child `pid` has ended and waits to be reaped.
bool has_ended(pid_t pid);

/// How long a clean-up may hold its caller: between messages, or after a child's death.
inline constexpr Millis kCleanUpPatience{50};

struct CleanUp {
  std::vector<ChildExit> exits;  ///< every exit that was reaped on the way, of other children too
  bool left = false;             ///< a chosen child was still there at the end
  bool refused = false;          ///< one may not be signalled: it became another user's
};

/// Kills (SIGKILL) every child of this process that is `chosen`, with its process group where that
/// is not the caller's own, and reaps what ends; orphans that re-parent to the caller meanwhile are
/// included, to a fixpoint bounded by `patience`. A child it may not signal is left. For a process
/// with one thread, which is a child subreaper. Cheap when there is nothing to do: no child, one
/// system call; only others, a few.
CleanUp kill_children(const std::function<bool(pid_t)>& chosen, Millis patience);

/// The same for every child that is not in `keep`: for a process that has no children but handlers
/// and what they started.
std::vector<ChildExit> kill_orphans(std::span<const pid_t> keep);

/// Kills every descendant it can reach and reaps them, for half a second at most.
/// Async-signal-safe: for the parent-death signal handler, which ends the process.
void kill_all_children_from_signal_handler() noexcept;

/// Kills every process that is `chosen`, children or not, until none is left, for half a second at
/// most. Async-signal-safe if `chosen` is.
void kill_processes_from_signal_handler(bool (*chosen)(pid_t)) noexcept;

}  // namespace pgforeman
