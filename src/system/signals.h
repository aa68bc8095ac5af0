#pragma once
// Signals as data: blocked in every process of the fleet and read from a signalfd, so that nothing
// is interrupted and nothing is missed. (asio's signal_set keeps process-wide state that a forked
// child shares with its parent: a child's signals reached the parent.)

#include <signal.h>
#include <sys/types.h>

#include <initializer_list>
#include <optional>

#include "system/fd.h"

namespace pgforeman {

/// Blocks every signal that can be blocked, for this process and what it forks.
void block_all_signals();

/// Back to the default for every signal whose disposition may be changed. Fork: in the child, still
/// masked. Async-signal-safe.
void reset_signal_dispositions();

/// A non-blocking, close-on-exec signalfd for `signals` (which must be blocked).
/// Throws std::system_error.
UniqueFd open_signalfd(std::initializer_list<int> signals);

/// The next pending signal of `fd`, nothing when there is none.
std::optional<int> read_signal(int fd);

}  // namespace pgforeman
