// The policy's planned replacements: a fleet that shrinks, newer options (HUP), children that
// reached a limit. Children that died are replaced by tick(): they come back when they are due.

#include <algorithm>

#include "scoreboard/child_context.h"
#include "scoreboard/scoreboard.h"
#include "supervisor/policy.h"

namespace pgforeman {
namespace {

bool wanted_and_alive(const SlotState& slot) {
  return slot.wanted && slot.life == SlotState::Life::alive;
}

/// Neither works nor may be waited for in vain: a slot that is crash-looping has its own backoff.
bool leaves_or_is_due(const SlotState& slot) {
  const bool leaving = wanted_and_alive(slot) && slot.told_to_drain_at;
  return leaving || (slot.wanted && slot.life == SlotState::Life::due && !slot.crash_looping);
}

}  // namespace

void Policy::replace_next(TimePoint now, std::vector<Action>& actions) {
  for (auto& [index, slot] : slots_) {
    if (!slot.wanted && slot.life == SlotState::Life::alive) {
      drain(index, slot, now, kDrainSignal, actions);
    }
  }
  const bool any_stale = std::any_of(slots_.begin(), slots_.end(), [](const auto& item) {
    return item.second.stale && wanted_and_alive(item.second);
  });
  if (!any_stale) return;
  // One at a time: the last replaced slot must be back at work before the next one goes.
  for (const auto& [index, slot] : slots_) {
    const bool coming = wanted_and_alive(slot) && !slot.stale && !slot.reached_waiting &&
                        !slot.crash_looping && slot.beat.phase() != Phase::connecting;
    if (leaves_or_is_due(slot) || coming) return;
  }
  for (auto& [index, slot] : slots_) {
    if (!slot.stale || !wanted_and_alive(slot)) continue;
    return drain(index, slot, now, kDrainSignal, actions);
  }
}

int Policy::resize(int concurrency, TimePoint now) {
  settings_.concurrency = std::clamp(concurrency, 1, kMaxConsumers);
  for (int i = 0; i < settings_.concurrency; ++i) {
    // A child that is still draining is re-forked when it has ended.
    if (!slots_.contains(i) || !slots_[i].wanted) want(i, now);
  }
  for (auto& [index, slot] : slots_) {
    if (index == kMaintenanceSlot || index < settings_.concurrency) continue;
    slot.wanted = false;
    if (slot.life == SlotState::Life::due) slot.life = SlotState::Life::absent;
  }
  return settings_.concurrency;
}

void Policy::replace_all(const PolicySettings& settings, TimePoint now) {
  const int concurrency = settings.concurrency;
  settings_ = settings;
  resize(concurrency, now);
  for (auto& [index, slot] : slots_) {
    if (slot.life == SlotState::Life::alive) slot.stale = true;
  }
}

}  // namespace pgforeman
