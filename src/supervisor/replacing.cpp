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

/// Is being replaced, or about to come back after whatever it was. A child that reaches for the
/// database counts only after a recycling: an outage stops that, but one slot that gets no session
/// would stop it for ever.
bool away(const SlotState& slot) {
  const bool coming = wanted_and_alive(slot) && !slot.reached_waiting && !slot.crash_looping &&
                      (slot.refilling || slot.beat.phase() != Phase::connecting);
  return leaves_or_is_due(slot) || coming;
}

bool may_be_recycled(int index, const SlotState& slot) {
  return slot.wish && wanted_and_alive(slot) && slot.reached_waiting && !slot.told_to_drain_at &&
         !slot.killed_at && index != kMaintenanceSlot;
}

}  // namespace

bool Policy::replace_next(TimePoint now, std::vector<Action>& actions) {
  for (auto& [index, slot] : slots_) {
    if (!slot.wanted && slot.life == SlotState::Life::alive) {
      drain(index, slot, now, kDrainSignal, actions);
    }
  }
  const bool any_stale = std::any_of(slots_.begin(), slots_.end(), [](const auto& item) {
    return item.second.stale && wanted_and_alive(item.second);
  });
  if (!any_stale) return false;
  // Newer options do not wait for a long message of a child that leaves anyway.
  for (auto& [index, slot] : slots_) {
    if (slot.stale && slot.at_leisure) drain(index, slot, now, kDrainSignal, actions);
  }
  // One at a time: the last replaced slot must be back at work before the next one goes.
  for (const auto& [index, slot] : slots_) {
    const bool coming = wanted_and_alive(slot) && !slot.stale && !slot.reached_waiting &&
                        !slot.crash_looping && slot.beat.phase() != Phase::connecting;
    if (leaves_or_is_due(slot) || coming) return true;
  }
  for (auto& [index, slot] : slots_) {
    if (!slot.stale || !wanted_and_alive(slot)) continue;
    drain(index, slot, now, kDrainSignal, actions);
    break;
  }
  return true;
}

/// At most a tenth of the consumers, and at least one, is away at a time. The one that waited
/// longest goes first: limits may be reached faster than the fleet gets through them.
void Policy::recycle_next(TimePoint now, std::vector<Action>& actions) {
  const auto may_be_away = std::max(1, settings_.concurrency / 10);
  auto are_away = std::count_if(slots_.begin(), slots_.end(), [](const auto& item) {
    return item.first != kMaintenanceSlot && away(item.second);
  });
  for (; are_away < may_be_away; ++are_away) {
    int next = -1;
    for (const auto& [index, slot] : slots_) {
      if (!may_be_recycled(index, slot)) continue;
      if (next < 0 || slot.wished_at < slots_[next].wished_at) next = index;
    }
    if (next < 0) return;
    slots_[next].told_to_drain_at = now;
    slots_[next].at_leisure = true;
    actions.push_back({Action::Kind::signal, next, kRecycleSignal, ""});
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
