#pragma once
// Values that a forked child gets from the supervisor, or addresses of memory that fork copied.
// Fork: filled before, read after.

#include <array>
#include <csignal>
#include <cstdint>

#include "fleet/scoreboard.h"
#include "options/options.h"

namespace pgforeman {

/// Signals for drain and hurry. TERM and QUIT may reach a whole process group (systemd, timeout, a
/// terminal), but the supervisor decides which child ends when. Two signals are needed, because
/// equal pending signals merge.
inline constexpr int kDrainSignal = SIGUSR1;
inline constexpr int kHurrySignal = SIGUSR2;

/// Eventfds for idle consumers (see fleet/wakeups.h).
inline constexpr std::size_t kWakeupFds = 16;
using WakeupFds = std::array<int, kWakeupFds>;

struct ChildContext {
  const Options* options = nullptr;
  Scoreboard* scoreboard = nullptr;
  int slot = 0;
  LedgerId ledger = LedgerId::none;
  std::uint32_t epoch = 0;
  std::uint64_t fleet_id = 0;  ///< random per supervisor: makes claim tokens unique
  WakeupFds wakeup_fds{};
  int maintenance_fd = -1;  ///< eventfd that wakes maintenance (orphaned ledger, scheduled retry)
};

}  // namespace pgforeman
