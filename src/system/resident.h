#pragma once
// Measures the present memory use of processes, from /proc. Fork: either.

#include <sys/types.h>

#include <cstdint>

namespace pgforeman {

/// Returns the resident bytes of `pid`; 0 if the process is gone.
std::int64_t resident_bytes(pid_t pid);

/// Returns the resident bytes of `pid` and its descendants, as far as the kernel lists them: a
/// handler is often a shell around the program that works. Counts 256 processes at most.
std::int64_t resident_bytes_of_tree(pid_t pid);

}  // namespace pgforeman
