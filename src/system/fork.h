#pragma once
// The only fork of the fleet's own processes, and what a child must undo before it is itself.
// Fork: the caller is single-threaded and keeps all signals blocked.

#include <sys/types.h>

#include <span>

namespace pgforeman {

/// The child's whole life. It must leave by _exit: an exception that unwound into the parent's
/// frames would destroy objects that the two processes share.
using ChildMain = void (*)(void* context) noexcept;

/// Forks. The child gets a session of its own, and is a subreaper that a parent's death ends.
/// Signal dispositions are reset, and every descriptor but 0-2 and `keep` is closed. Only then
/// signals are unmasked (but for `still_blocked`, which it reads from a signalfd) and
/// `main(context)` is called. Returns the pid, or -1 with errno. When the parent is gone the child
/// kills its descendants and ends, wherever it is.
[[nodiscard]] pid_t fork_child(ChildMain main, void* context, std::span<const int> keep,
                               std::span<const int> still_blocked);

/// In a child: when the parent is gone, also kills what its siblings' handlers started and left,
/// because a sibling was killed in the same instant.
void end_fleet_with_parent() noexcept;

}  // namespace pgforeman
