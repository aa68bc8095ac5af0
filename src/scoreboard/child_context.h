#pragma once
// What a forked child gets from the supervisor, by value or by address of memory that fork copied.
// Fork: filled before, read after.

#include <sys/types.h>

#include <cstdint>

#include "options/options.h"
#include "scoreboard/scoreboard.h"

namespace pgforeman {

struct ChildContext {
  const Options* options = nullptr;
  Scoreboard* scoreboard = nullptr;
  int slot = 0;
  int ledger = -1;  ///< -1: maintenance holds nothing
  std::uint32_t epoch = 0;
  std::uint64_t fleet_id = 0;  ///< random, one a supervisor: makes claim tokens unique
  int wake_fd = -1;            ///< eventfd semaphore: maintenance wakes idle consumers
  int call_fd = -1;  ///< eventfd: calls maintenance (an orphaned ledger, a message scheduled)
};

}  // namespace pgforeman
