#pragma once
// How much memory processes occupy now, from /proc. Fork: either.

#include <sys/types.h>

#include <cstdint>

namespace pgforeman {

/// Resident bytes of `pid`; 0 when it is gone.
std::int64_t resident_bytes(pid_t pid);

/// The same with all that descend from it, as far as the kernel lists children: a handler is often
/// a shell around the program that does the work. Bounded: the first 256.
std::int64_t resident_bytes_of_tree(pid_t pid);

}  // namespace pgforeman
