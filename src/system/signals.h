#pragma once
// Reads signals as data: every process of the fleet blocks them and reads them from a signalfd, so
// that they interrupt no call and none is missed. (asio's signal_set has process-wide state that a
// forked child shares with its parent: a child's signals reached the parent.)

#include <signal.h>
#include <sys/types.h>

#include <initializer_list>
#include <optional>

#include "system/fd.h"

namespace pgforeman {

/// Blocks every signal that can be blocked, for this process and its forks.
void block_all_signals();

/// Resets every signal that allows it to the default disposition. Fork: in the child, while signals
/// are still blocked. Async-signal-safe.
void reset_signal_dispositions();

/// Returns a non-blocking, close-on-exec signalfd for `signals`, which must be blocked.
/// Throws std::system_error.
UniqueFd open_signalfd(std::initializer_list<int> signals);

/// Returns the next pending signal of `fd`, or nothing if there is none.
std::optional<int> read_signal(int fd);

}  // namespace pgforeman
