#pragma once
// How long a child may stay in each phase. The child publishes deadlines from this table; the
// supervisor clamps what it reads by the same table, so that a hostile value wins nothing.

#include <algorithm>
#include <array>

#include "fleet/phase.h"
#include "options/options.h"
#include "system/clock.h"

namespace pgforeman {

/// An unanswered database call loses its socket after this long, which must be shorter than
/// kDatabasePhase: a silent server gives a reconnect, never a kill.
inline constexpr Millis kDatabaseWatchdog{12000};  // proves: P31
inline constexpr Millis kDatabasePhase{20000};
/// Each address has a timeout, but name resolution and the number of addresses cannot be bounded. A
/// child without a session holds nothing, so 60 s harms nothing.
inline constexpr Millis kConnectPhase{60000};
/// Between the stop signal and KILL of a handler when nothing has time any more (QUIT, a second
/// INT), unless HANDLER_STOP_GRACE is shorter.
inline constexpr Millis kHurryStopGrace{300};
/// How much later than SHUTDOWN_GRACE and HANDLER_STOP_GRACE a draining child is killed:
/// Kubernetes' 30 s must hold for the defaults of 25 s and 2 s.
inline constexpr Millis kDrainSlack{600};
/// How often an idle child reports.
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
    // Its lease is renewed meanwhile: an outage there must not be blamed on the message.
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
