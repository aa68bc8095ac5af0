#pragma once
// Decides whether a process's exit counts, or was caused by a stop signal sent to all processes
// (systemd's KillMode=control-group). After such a signal a handler may end in any way, also with
// exit code 0. Pure.

#include <optional>

#include "pgforeman/outcome.h"
#include "system/clock.h"

namespace pgforeman {

/// A signal and a drain within this time belong to the same stop.
inline constexpr Millis kSameStop{500};
/// A signal to all processes reaches the last of them at most this long after the supervisor.
inline constexpr Millis kKillSpread{200};

struct RunEnd {
  TimePoint started_at, ended_at;
  std::optional<TimePoint> signalled_at;  ///< the consumer got TERM, INT, HUP or QUIT itself
  std::optional<TimePoint> drains_since;
  bool fleet_stops = false;  ///< the whole fleet drains, not this child alone
  int stop_signal = 0;       ///< HANDLER_STOP_SIGNAL
};

struct Ruling {
  enum class Kind {
    stands,    ///< the outcome counts
    wait,      ///< not known yet: ask again at `until`, or at a signal or drain before that
    released,  ///< the run was ended by a shutdown
    failed     ///< it was ended by a signal from outside: counts as an attempt, not as a crash
  };
  Kind kind = Kind::stands;
  TimePoint until{};
};

/// True if `outcome` comes from how a process ended by itself, not from an answer or our kill.
bool is_by_exit(const Outcome& outcome);

Ruling rule_on(const Outcome& outcome, const RunEnd& end, TimePoint now);

/// Changes the outcome by a ruling of `released` or `failed`; keeps its evidence.
Outcome ruled(Outcome outcome, Ruling::Kind ruling);

}  // namespace pgforeman
