#include "supervisor/slot_state.h"

#include <cassert>

namespace pgforeman {

void SlotState::want(TimePoint now) {
  wanted_ = true;
  if (life_ != Life::absent) return;
  life_ = Life::due;
  due_at = now;
}

void SlotState::unwant() {
  wanted_ = false;
  if (life_ == Life::due) life_ = Life::absent;
}

void SlotState::forked(const PhaseLimits& its_limits, TimePoint now) {
  assert(life_ == Life::due);
  life_ = Life::alive;
  forked_at = now;
  limits = its_limits;
  beat = {};
  beat_seen_at = now;
  reported = reached_waiting = stale = drained = false;
  drain_sent_at.reset();
  killed_at.reset();
  fork_failures = 0;
}

void SlotState::ended(TimePoint now) {
  assert(life_ == Life::alive);
  life_ = wanted_ ? Life::due : Life::absent;
  due_at = now;  // proves: P1
}

}  // namespace pgforeman
