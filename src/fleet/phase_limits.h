#pragma once
// How long a child may stay in each phase. The child publishes deadlines from this table. The
// supervisor clamps the deadlines by the same table, so a false value cannot extend a deadline.

#include <algorithm>
#include <array>

#include "fleet/phase.h"
#include "options/options.h"
#include "system/clock.h"

namespace pgforeman {

/// An unanswered database call loses its socket after this long. It must be shorter than
/// kDatabasePhase: a silent server then causes a reconnect, not a kill of the child.
inline constexpr Millis kDatabaseWatchdog{12000};  // proves: P31
inline constexpr Millis kDatabasePhase{20000};
/// Each address has a timeout, but name resolution and the number of addresses have no limit: a
/// look-up takes a minute where a cluster's name servers are away. Five minutes do no harm, because
/// a child without a session holds nothing.
inline constexpr Millis kConnectPhase{300'000};
/// The same as kDatabaseWatchdog while a handler runs: its end and its deadline do not wait longer.
inline constexpr Millis kWatchdogWhileRunning{900};
/// Time between a handler's stop signal and KILL in a hurried stop (QUIT, a second INT), unless
/// HANDLER_STOP_GRACE is shorter.
inline constexpr Millis kHurryStopGrace{300};
/// A draining child is killed this long after SHUTDOWN_GRACE plus HANDLER_STOP_GRACE. With the
/// defaults of 25 s and 2 s the total must stay below the 30 s of Kubernetes.
inline constexpr Millis kDrainSlack{600};
/// Longest time between two reports of an idle child.
inline constexpr Millis kLongestSilence{2000};

class PhaseLimits {
 public:
  explicit PhaseLimits(const Options& options) {
    using enum Phase;
    at(booting) = options.boot_timeout;
    at(connecting) = kConnectPhase;
    // A waiting child reports at least every kLongestSilence, whatever its poll interval.
    at(waiting) = 2 * kLongestSilence;
    at(claiming) = kDatabasePhase;
    // Leases are renewed during a run: a database outage must not be blamed on the message.
    at(running) = options.handler_timeout + options.handler_stop_grace + kDatabasePhase;
    at(settling) = kDatabasePhase;
    at(draining) = options.shutdown_grace + options.handler_stop_grace + kDrainSlack;
  }
  Millis operator[](Phase phase) const { return limits_[static_cast<std::size_t>(phase)]; }

 private:
  Millis& at(Phase phase) { return limits_[static_cast<std::size_t>(phase)]; }
  std::array<Millis, kPhaseCount> limits_{};
};

}  // namespace pgforeman
