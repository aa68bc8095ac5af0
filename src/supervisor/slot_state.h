#pragma once
// What the policy knows of a slot and of the child in it. Pure.
//
// A slot's life and its events; nothing else changes it. delay() moves due_at(), for a backoff.
//
//            want           forked            ended
//   absent --------> due ------------> alive -------> due, if it is still wanted; else absent
//          <--------
//           unwant
//
// want() and unwant() of a slot that is alive decide what ended() makes of it.

#include <deque>
#include <map>
#include <optional>

#include "fleet/phase_limits.h"
#include "fleet/recycle.h"
#include "fleet/slot.h"
#include "system/clock.h"

namespace pgforeman {

/// One reading of a child's slot in the scoreboard.
struct Observation {
  Beat beat;
  bool reached_waiting = false;
  std::optional<ReachedLimit> reached;  ///< why it ends, if it does so by itself
};
using Observations = std::map<int, Observation>;  ///< by slot

/// When a child is killed, and for which phase's sake.
struct Deadline {
  TimePoint at;
  Phase phase;
};

class SlotState {
 public:
  enum class Life { absent, due, alive };
  Life life() const { return life_; }
  /// False: not forked again once its child has ended.
  bool wanted() const { return wanted_; }
  void want(TimePoint now);
  void unwant();
  /// A child was forked with options that give it these limits: forgets the last child.
  void forked(const PhaseLimits& its_limits, TimePoint now);
  void ended(TimePoint now);
  /// Postpones the fork of a slot that is due; no effect otherwise.
  void delay(TimePoint until) {
    if (life_ == Life::due) due_at_ = until;
  }
  /// When to fork; only while due.
  TimePoint due_at() const { return due_at_; }

  TimePoint forked_at;
  std::optional<PhaseLimits> limits;  ///< of the options of its child; none: never forked
  Beat beat;                          ///< the last new reading
  TimePoint beat_seen_at;
  bool reported = false;  ///< this child has written a beat
  bool reached_waiting = false;
  /// Its child reached waiting; health goes on from one that was recycled to the next.
  std::optional<TimePoint> healthy_since;
  std::optional<TimePoint> drain_sent_at;
  std::optional<TimePoint> killed_at;  ///< by us
  Phase missed = Phase::empty;         ///< killed: the deadline of this phase
  bool drained = false;                ///< the last child ended by a drain
  bool stale = false;                  ///< to be replaced by a child with newer options
  int boot_failures = 0;               ///< exits in a row before `waiting`
  int fork_failures = 0;
  std::deque<TimePoint> boot_failure_times;
  bool crash_looping = false;

 private:
  Life life_ = Life::absent;
  TimePoint due_at_;
  bool wanted_ = false;
};

}  // namespace pgforeman
