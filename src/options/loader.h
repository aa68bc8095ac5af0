#pragma once
// Loading without the process around it: everything that load_options reads is given, so that tests
// can give it.

#include <span>
#include <vector>

#include "options/environment.h"
#include "options/load.h"

namespace pgforeman {

struct LoadInput {
  Command command = Command::run;
  std::span<const char* const> args;
  std::span<const CommandFlag> flags;
  Environment environment;
  int cpus = 1;  ///< CONCURRENCY when it is not given
};

LoadResult load_from(const LoadInput& input, std::vector<FoundFlag>* found = nullptr);

}  // namespace pgforeman
