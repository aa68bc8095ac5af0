#pragma once
// Finds the shared memory of a fleet from another process, to overwrite it with garbage.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace pgforeman::test {

struct Mapping {
  std::uint64_t from = 0, to = 0;
};

/// Returns the anonymous shared mappings of `pid`, largest first.
std::vector<Mapping> shared_memory(pid_t pid);

/// Fills the mapping with values from `word`. False if `pid` ended meanwhile or if this process may
/// not write there.
bool overwrite(pid_t pid, const Mapping& mapping, const std::function<std::uint32_t()>& word);

}  // namespace pgforeman::test
