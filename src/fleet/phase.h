#pragma once
// What a child is doing. On each change the child publishes the phase and the time by which it will
// have left it; a child that misses that is killed and replaced.

#include <cstdint>
#include <string_view>

namespace pgforeman {

enum class Phase : std::uint8_t {
  empty,       ///< no process
  booting,     ///< forked, not yet reporting; its deadline is the supervisor's
  connecting,  ///< connecting to the database, with retries: an outage is spent here
  waiting,     ///< nothing to do
  claiming,    ///< claiming, counting or scanning messages
  running,     ///< a handler works on a message
  settling,    ///< settling outcomes
  draining,    ///< ending after the drain signal, or at a limit of its own
};
inline constexpr int kPhaseCount = 8;

constexpr std::string_view to_string(Phase phase) {
  constexpr std::string_view names[kPhaseCount] = {"empty",    "booting", "connecting", "waiting",
                                                   "claiming", "running", "settling",   "draining"};
  const auto i = static_cast<std::uint8_t>(phase);
  return i < kPhaseCount ? names[i] : std::string_view("unknown");
}

}  // namespace pgforeman
