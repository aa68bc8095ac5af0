#pragma once
// Forks the fleet's own processes; no other code does. The child first undoes inherited state.
// Fork: the caller is single-threaded and keeps all signals blocked.

#include <sys/types.h>

#include <span>

namespace pgforeman {

/// The main function of a child. It must end by _exit: unwinding into the parent's frames would
/// destroy objects that the two processes share.
using ChildMain = void (*)(void* context) noexcept;

/// Forks; returns the pid, or -1 with errno. The child gets its own session and is a subreaper.
/// Signal dispositions are reset, and every descriptor but 0-2 and `keep` is closed. Only then
/// signals are unblocked and `main(context)` is called. Signals in `still_blocked` stay blocked:
/// the child reads them from a signalfd. When the parent dies, the child kills its descendants and
/// ends, whatever it does at that moment.
[[nodiscard]] pid_t fork_child(ChildMain main, void* context, std::span<const int> keep,
                               std::span<const int> still_blocked);

/// Call in a child: when the parent dies, the child also kills the processes of its siblings'
/// handlers, because a sibling may have been killed at the same time.
void end_fleet_with_parent() noexcept;

}  // namespace pgforeman
