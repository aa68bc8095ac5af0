#pragma once
// What a forked child gets from the supervisor, by value or by address of memory that fork copied.
// Fork: filled before, read after.

#include <array>
#include <csignal>
#include <cstdint>

#include "fleet/scoreboard.h"
#include "options/options.h"

namespace pgforeman {

/// How the supervisor tells a child to drain, and to do so at once. Not TERM and QUIT, which a
/// whole process group may get (systemd, timeout, a terminal): the supervisor decides which ends
/// when, and of two equal pending signals only one is seen.
inline constexpr int kDrainSignal = SIGUSR1;
inline constexpr int kHurrySignal = SIGUSR2;

/// Eventfds for idle consumers (see fleet/wakeups.h).
inline constexpr std::size_t kWakeupFds = 16;
using WakeupFds = std::array<int, kWakeupFds>;

struct ChildContext {
  const Options* options = nullptr;
  Scoreboard* scoreboard = nullptr;
  int slot = 0;
  int ledger = kNoLedger;
  std::uint32_t epoch = 0;
  std::uint64_t fleet_id = 0;  ///< random, one a supervisor: makes claim tokens unique
  WakeupFds wakeup_fds{};
  int maintenance_fd =
      -1;  ///< eventfd: calls maintenance (an orphaned ledger, a message scheduled)
};

}  // namespace pgforeman
