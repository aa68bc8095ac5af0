#pragma once
// The memory that the processes of a fleet share, from outside: to write garbage over it.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace pgforeman::test {

struct Mapping {
  std::uint64_t from = 0, to = 0;
};

/// The anonymous memory that `pid` shares with its relatives, largest first.
std::vector<Mapping> shared_memory(pid_t pid);

/// Writes words over all of it. False when the process ended meanwhile, or this one has not the
/// right.
bool overwrite(pid_t pid, const Mapping& mapping, const std::function<std::uint32_t()>& word);

}  // namespace pgforeman::test
