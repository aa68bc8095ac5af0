#pragma once
// Marks handlers, so that all their descendants can be distinguished from the host's other
// processes. Fork: set_fleet_mark() before; the other functions either.
//
// The mark is the soft limit of file locks, RLIMIT_LOCKS, which Linux has not used since
// 2.4.25. It passes through fork, exec, setsid, a double fork and a changed environment, and one
// system call reads it. If the hard limit is lower or a sandbox refuses it, only the variable
// PGFOREMAN_FLEET in the environment and the session identify such processes.

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace pgforeman {

/// Sets the mark of this fleet, for this process and its forks. Without it no process is marked.
void set_fleet_mark(std::uint64_t fleet_id);

/// Marks the calling process, and so its later descendants. Async-signal-safe; an error is ignored.
void take_fleet_mark() noexcept;

/// True if `pid` has this fleet's mark. Async-signal-safe.
bool has_fleet_mark(pid_t pid) noexcept;

/// Returns "PGFOREMAN_FLEET=<id>", for a handler's environment; empty if no mark was set.
std::string fleet_variable();

/// True if `pid` was started with fleet_variable(). Reads /proc.
bool has_fleet_variable(pid_t pid);

/// Kills (SIGKILL) every process of the host that has the mark, for half a second at most.
/// Async-signal-safe. Used at the end of a fleet with a killed supervisor.
void kill_marked_processes() noexcept;

}  // namespace pgforeman
