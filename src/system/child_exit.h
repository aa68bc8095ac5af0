#pragma once
// Reaps child processes, and describes how a child ended. No other code may reap. Fork: either.

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
  int exit_code = -1;  ///< valid if signal == 0
  int signal = 0;      ///< the signal that killed the child; 0 if it exited
  bool core_dumped = false;
  bool out_of_memory = false;     ///< killed by the kernel for lack of memory: see oom_kills.h
  std::int64_t peak_rss_kib = 0;  ///< an upper bound: it starts at the parent's size at the fork

  /// Returns for example "exited with code 3", "killed by SIGSEGV (core dumped)" or "killed by
  /// SIGKILL (out of memory)".
  std::string explain() const;
};

/// Reaps one ended child, whichever it is; returns nothing if none has ended. Only this file reaps
/// children, so a pid in a table of running children cannot have been reused.
std::optional<ChildExit> reap_one();

/// True if this process has a child, running or ended: a cheap check before a scan.
bool has_children();

/// Opens the kernel's list of children, so that the functions below need no free descriptor. Called
/// once, at the start of a process. Without the list, the functions scan /proc.
void open_child_list();

/// Returns all children. At the start they are those of an entrypoint that exec'ed this program.
std::vector<pid_t> children_now();

/// True if the child `pid` has ended and waits to be reaped.
bool has_ended(pid_t pid);

/// The longest time a clean-up may hold its caller, between messages or after a child's death.
inline constexpr Millis kCleanUpPatience{50};

struct CleanUp {
  std::vector<ChildExit> exits;  ///< every exit that was reaped meanwhile, also of other children
  bool left = false;             ///< a chosen child still existed at the end
  bool refused = false;          ///< a child could not be signalled: it became another user's
};

/// Kills (SIGKILL) every `chosen` child and the process group it leads (never the caller's group),
/// and reaps ended children. Repeats this for orphans that re-parent to the caller, until none is
/// left or `patience` is over. Leaves a child that it may not signal. The caller must be a child
/// subreaper with one thread. Costs one system call without children, a few if none is chosen.
CleanUp kill_children(const std::function<bool(pid_t)>& chosen, Millis patience);

/// Does the same for every child that is not in `keep`: for a process with no other children than
/// handlers and their descendants.
std::vector<ChildExit> kill_orphans(std::span<const pid_t> keep);

/// Kills and reaps all reachable descendants, for half a second at most.
/// Async-signal-safe: for the parent-death signal handler, which ends the process.
void kill_all_children_from_signal_handler() noexcept;

/// Kills every process for which `chosen` is true, child or not, until none is left or half a
/// second is over. Async-signal-safe if `chosen` is.
void kill_processes_from_signal_handler(bool (*chosen)(pid_t)) noexcept;

}  // namespace pgforeman
