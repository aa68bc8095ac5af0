#pragma once
// The current activity of a child. On each change the child publishes its phase and a deadline for
// leaving the phase; a child that misses the deadline is killed and replaced.

#include <cstdint>
#include <string_view>

namespace pgforeman {

enum class Phase : std::uint8_t {
  empty,       ///< no process
  booting,     ///< forked, not yet reporting; the supervisor sets the deadline
  connecting,  ///< connecting to the database, with retries, also during an outage
  waiting,     ///< nothing to do
  claiming,    ///< claiming, counting or scanning messages
  running,     ///< a handler works on a message
  settling,    ///< settling outcomes
  draining,    ///< ending after the drain signal, or for recycling
};
inline constexpr int kPhaseCount = 8;

constexpr std::string_view to_string(Phase phase) {
  constexpr std::string_view names[kPhaseCount] = {"empty",    "booting", "connecting", "waiting",
                                                   "claiming", "running", "settling",   "draining"};
  const auto i = static_cast<std::uint8_t>(phase);
  return i < kPhaseCount ? names[i] : std::string_view("unknown");
}

}  // namespace pgforeman
