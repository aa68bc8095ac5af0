#pragma once
// Marks handlers, so that whatever they start can be distinguished from the other processes of the
// host, wherever it goes. Fork: the id is set before; the rest either.
//
// The mark is the soft limit of file locks, RLIMIT_LOCKS, which Linux has not used since
// 2.4.25. It passes through fork, exec, setsid, a double fork and a changed environment, and one
// system call reads it. Where the hard limit is lower or a sandbox refuses it, the variable
// PGFOREMAN_FLEET in the environment is left, and the session.

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace pgforeman {

/// The mark of this fleet, for this process and what it forks. Without it nothing is marked.
void set_fleet_mark(std::uint64_t fleet_id);

/// Marks the calling process, and so its descendants. Async-signal-safe; a refusal is ignored.
void take_fleet_mark() noexcept;

/// True when `pid` has this fleet's mark. Async-signal-safe.
bool has_fleet_mark(pid_t pid) noexcept;

/// "PGFOREMAN_FLEET=<id>", for a handler's environment; empty without a mark.
std::string fleet_variable();

/// True when `pid` was started with that variable. Reads /proc.
bool has_fleet_variable(pid_t pid);

/// Kills (SIGKILL) every process of the host that has the mark, for half a second at most.
/// Async-signal-safe: for the end of a fleet after its supervisor was killed.
void kill_marked_processes() noexcept;

}  // namespace pgforeman
