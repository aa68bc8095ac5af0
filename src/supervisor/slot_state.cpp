#include "supervisor/slot_state.h"

#include <stdexcept>

namespace pgforeman {

void SlotState::want(TimePoint now) {
  wanted_ = true;
  if (life_ != Life::absent) return;
  life_ = Life::due;
  due_at_ = now;
}

void SlotState::unwant() {
  wanted_ = false;
  if (life_ == Life::due) life_ = Life::absent;
}

void SlotState::forked(const PhaseLimits& its_limits, TimePoint now) {
  if (life_ != Life::due) throw std::logic_error("a child was forked into a slot that was not due");
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
  if (life_ != Life::alive) throw std::logic_error("a child ended in a slot that had none");
  life_ = wanted_ ? Life::due : Life::absent;
  due_at_ = now;  // proves: P1
}

}  // namespace pgforeman
