#include "supervisor/policy.h"

#include <signal.h>

#include <algorithm>

#include "fleet/child_context.h"
#include "fleet/scoreboard.h"
#include "system/backoff.h"

namespace pgforeman {
namespace {

// A crash-looping verdict is taken back after this long of health while alive.
constexpr Millis kHealthClears{60000};
// A tick this late means that we (and perhaps the children) were stopped: no child is judged before
// it had time to report again.
constexpr Millis kLateTick{1000};
constexpr Millis kGraceAfterPause{2000};
// A killed process may hang in the kernel; after this long the fleet is not live.
constexpr Millis kUnkillable{10000};

void forget_boot_failures(SlotState& slot) {
  slot.boot_failures = 0;
  slot.boot_failure_times.clear();
}

void heal(SlotState& slot, TimePoint now) {
  if (!slot.crash_looping || !slot.reached_waiting) return;
  // proves: P5 verdict
  if (!slot.healthy_since || now - *slot.healthy_since < kHealthClears) return;
  slot.crash_looping = false;
  forget_boot_failures(slot);
}

// A fork takes milliseconds: the rest of a large fleet follows after the loop had its turn, so that
// probes are answered meanwhile.
constexpr std::size_t kActionsPerTick = 16;

bool boot_phase(Phase phase) {
  return phase == Phase::empty || phase == Phase::booting;
}

bool wanted_and_alive(const SlotState& slot) {
  return slot.wanted() && slot.life() == SlotState::Life::alive;
}

/// True if its child is being drained, or the next one is due. A slot that crash-loops and is due
/// does not count: it has its own backoff.
bool leaves_or_is_due(const SlotState& slot) {
  const bool leaving = wanted_and_alive(slot) && slot.drain_sent_at;
  return leaving || (slot.wanted() && slot.life() == SlotState::Life::due && !slot.crash_looping);
}

std::string missed(Phase phase) {
  return "missed its " + std::string(to_string(phase)) + " deadline";
}

}  // namespace

Policy::Policy(const Options& options, TimePoint now, unsigned seed)
    : options_(options),
      limits_(options),
      random_(seed),
      started_at_(now),
      last_tick_(now),
      no_kill_before_(now) {
  slots_[kMaintenanceSlot].want(now);
  for (int i = 0; i < options_.concurrency; ++i) slots_[i].want(now);
}

std::vector<Action> Policy::tick(TimePoint now, const Observations& observed, bool unrescued) {
  std::vector<Action> actions;
  unrescued_ = unrescued;
  if (now - last_tick_ > kLateTick) no_kill_before_ = now + kGraceAfterPause;  // proves: P13
  last_tick_ = now;
  // Maintenance first, so that it gets a session and a process if either runs short.
  step_slot(kMaintenanceSlot, slots_[kMaintenanceSlot], now, observed, actions);
  for (auto& [index, slot] : slots_) {
    if (index != kMaintenanceSlot) step_slot(index, slot, now, observed, actions);
  }
  const bool all_forked_once = std::all_of(slots_.begin(), slots_.end(), [](const auto& item) {
    return item.second.limits.has_value();
  });
  if (all_forked_once) first_fleet_forked_ = true;
  if (!first_fleet_forked_ && !stopping() && now - started_at_ >= options_.boot_timeout) {
    gave_up_ = true;  // proves: P7 give_up
    actions.push_back({Action::Kind::give_up, 0, 0,
                       "the first fleet could not be forked within the boot timeout"});
    stop(now);
  }
  if (stopping()) {
    drain_fleet(now, actions);
  } else {
    replace_next(now, actions);
  }
  return actions;
}

/// Decides for one slot by the clock and by what its child reports.
void Policy::step_slot(int index, SlotState& slot, TimePoint now, const Observations& observed,
                       std::vector<Action>& actions) {
  if (slot.life() == SlotState::Life::alive) {
    if (const auto seen = observed.find(index); seen != observed.end()) {
      observe(slot, seen->second, now);
    }
    heal(slot, now);
    enforce_deadline(index, slot, now, actions);
  } else if (slot.life() == SlotState::Life::due && slot.due_at() <= now &&
             actions.size() < kActionsPerTick && may_fork(index, now)) {
    actions.push_back({Action::Kind::fork, index, 0, ""});
  }
}

/// No child of a fleet that stops is forked, except maintenance that died too early: only it
/// settles what dead consumers held.
bool Policy::may_fork(int index, TimePoint now) const {
  if (!stopping()) return true;  // proves: P10
  if (index != kMaintenanceSlot || now >= ends_at() || slots_.at(index).drained) return false;
  return unrescued_ || std::any_of(slots_.begin(), slots_.end(), [](const auto& item) {
           return item.first != kMaintenanceSlot && item.second.life() == SlotState::Life::alive;
         });
}

TimePoint Policy::next_tick(TimePoint now) const {
  TimePoint next = now + kTick;
  if (stopping()) return next;
  for (const auto& [index, slot] : slots_) {
    if (slot.life() == SlotState::Life::due) next = std::min(next, slot.due_at());
  }
  return std::max(next, now);
}

void Policy::observe(SlotState& slot, const Observation& seen, TimePoint now) const {
  if (seen.beat.word != slot.beat.word) {
    slot.beat = seen.beat;
    slot.beat_seen_at = now;
    slot.reported = slot.reported || !boot_phase(seen.beat.phase());
  }
  if (seen.reached_waiting && !slot.reached_waiting) {
    slot.reached_waiting = true;
    if (!slot.healthy_since) slot.healthy_since = now;
    slot.fork_failures = 0;
    if (!slot.crash_looping) forget_boot_failures(slot);
  }
}

/// By when the child must have reported again: the deadline that it published, at most the limit of
/// its phase.
Deadline Policy::own_deadline(const SlotState& slot) {
  const PhaseLimits& limits = *slot.limits;
  const Phase phase = slot.beat.phase();
  if (!slot.reported || boot_phase(phase)) {
    const TimePoint since = slot.reported ? slot.beat_seen_at : slot.forked_at;
    return {since + limits[Phase::booting], Phase::booting};  // proves: P4
  }
  return {std::min(slot.beat.deadline(), slot.beat_seen_at + limits[phase]), phase};  // proves: P12
}

/// A drain signal does not extend the deadline of a child that hangs.
Deadline Policy::deadline_of(int index, const SlotState& slot) const {
  const Deadline own = own_deadline(slot);
  if (!slot.drain_sent_at) return own;
  Deadline end{*slot.drain_sent_at + (*slot.limits)[Phase::draining], Phase::draining};
  // After a reload the fleet's grace may be shorter than in this child's options.
  if (stopping()) end.at = std::min(end.at, *stopping_since_ + limits_[Phase::draining]);
  if (index == kMaintenanceSlot) end.at += kHurryStopGrace;
  return own.at < end.at ? own : end;
}

void Policy::enforce_deadline(int index, SlotState& slot, TimePoint now,
                              std::vector<Action>& actions) {
  if (slot.killed_at || now < no_kill_before_) return;
  const Deadline deadline = deadline_of(index, slot);
  if (now <= deadline.at) return;  // proves: P3
  slot.killed_at = now;
  slot.missed = deadline.phase;
  actions.push_back({Action::Kind::signal, index, SIGKILL, missed(deadline.phase)});
}

void Policy::on_forked(int index, TimePoint now) {
  slots_[index].forked(limits_, now);
}

void Policy::on_fork_failed(int index, TimePoint now) {
  SlotState& slot = slots_[index];
  slot.delay(now + backoff(slot.fork_failures));  // proves: P7 retry
  slot.fork_failures++;
}

ExitVerdict Policy::on_exit(int index, const ChildExit& exit, const Observation& last,
                            TimePoint now) {
  SlotState& slot = slots_[index];
  observe(slot, last, now);
  const bool drain_sent = slot.drain_sent_at.has_value();
  const bool recycles = last.reached && !drain_sent && index != kMaintenanceSlot;
  ExitVerdict verdict;
  verdict.explain = exit.explain();
  if (slot.killed_at) {
    const bool drained_late = (drain_sent || recycles) && slot.missed == Phase::draining;
    verdict.cause = drained_late ? ExitCause::shutdown : ExitCause::deadline;
    verdict.explain += ": " + missed(slot.missed);
    // Killed for running over the drain's deadline: the message did nothing wrong.
    verdict.blame = drained_late ? Cause::none : Cause::consumer_deadline;
  } else if (exit.signal != 0) {
    verdict.cause = exit.core_dumped     ? ExitCause::core
                    : exit.out_of_memory ? ExitCause::out_of_memory
                                         : ExitCause::signal;
  } else if (exit.exit_code == 0) {
    verdict.cause = recycles ? ExitCause::recycled : ExitCause::drained;
    verdict.blame = Cause::none;
    if (recycles) verdict.explain += ": " + last.reached->explain();
  }
  slot.drained = verdict.cause == ExitCause::drained;
  const bool connecting = slot.beat.phase() == Phase::connecting;
  const bool failed_boot = !slot.reached_waiting && !slot.drained && !drain_sent;
  heal(slot, now);
  slot.ended(now);
  if (failed_boot && !connecting) {
    record_boot_failure(slot, now, verdict);
  } else if (failed_boot) {
    // An end while connecting is an outage: it waits, but counts as no crash.
    slot.delay(now + backoff(slot.boot_failures));
  }
  if (slot.life() == SlotState::Life::due && !stopping()) {
    verdict.restart_in = std::chrono::duration_cast<Millis>(slot.due_at() - now);
  }
  // A fleet that recycles all the time must still get rid of a crash-loop verdict.
  if (verdict.cause != ExitCause::recycled) slot.healthy_since.reset();
  return verdict;
}

void Policy::record_boot_failure(SlotState& slot, TimePoint now, ExitVerdict& verdict) {
  slot.delay(now + backoff(slot.boot_failures));
  slot.boot_failures++;  // proves: P5 count
  auto& times = slot.boot_failure_times;
  times.push_back(now);
  const auto most = static_cast<std::size_t>(options_.crash_loop_count);
  while (times.size() > most) times.pop_front();
  const bool looping = times.size() == most && now - times.front() <= options_.crash_loop_window;
  verdict.new_crash_loop = looping && !slot.crash_looping;
  slot.crash_looping = slot.crash_looping || looping;
}

void Policy::stop(TimePoint now) {
  if (!stopping_since_) stopping_since_ = now;
}

void Policy::hurry(TimePoint now) {
  stop(now);
  // As if the grace were over and handlers had kHurryStopGrace: a child that takes longer is
  // killed.
  const Millis saved = std::max(options_.handler_stop_grace - kHurryStopGrace, Millis{0});
  stopping_since_ = std::min(*stopping_since_, now - options_.shutdown_grace - saved);
  hurrying_ = true;
}

void Policy::drain(int index, SlotState& slot, TimePoint now, int signal,
                   std::vector<Action>& actions) {
  if (slot.drain_sent_at) return;
  slot.drain_sent_at = now;
  actions.push_back({Action::Kind::signal, index, signal, ""});
}

void Policy::drain_fleet(TimePoint now, std::vector<Action>& actions) {
  bool consumers_left = false;
  for (auto& [index, slot] : slots_) {
    if (slot.life() != SlotState::Life::alive || index == kMaintenanceSlot) continue;
    consumers_left = true;
    drain(index, slot, now, kDrainSignal, actions);  // proves: P25
    // One deadline for the fleet, whenever a child got its signal.
    slot.drain_sent_at = std::min(*slot.drain_sent_at, *stopping_since_);
    if (hurrying_) actions.push_back({Action::Kind::signal, index, kHurrySignal, ""});
  }
  if (hurrying_ && consumers_left) hurrying_ = false;
  if (consumers_left) return;
  // Last, because it settles what dead consumers held.
  SlotState& maintenance = slots_[kMaintenanceSlot];
  if (maintenance.life() == SlotState::Life::alive) {
    drain(kMaintenanceSlot, maintenance, now, kDrainSignal, actions);
    maintenance.drain_sent_at = std::min(*maintenance.drain_sent_at, *stopping_since_);
  } else if (!may_fork(kMaintenanceSlot, now)) {
    actions.push_back({Action::Kind::finished, 0, 0, ""});
  }
}

void Policy::replace_next(TimePoint now, std::vector<Action>& actions) {
  for (auto& [index, slot] : slots_) {
    if (!slot.wanted() && slot.life() == SlotState::Life::alive) {
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
  options_.concurrency = std::clamp(concurrency, 1, kMaxConsumers);
  for (int i = 0; i < options_.concurrency; ++i) {
    // A child that is still draining is re-forked when it has ended.
    slots_[i].want(now);
  }
  for (auto& [index, slot] : slots_) {
    if (index != kMaintenanceSlot && index >= options_.concurrency) slot.unwant();
  }
  return options_.concurrency;
}

void Policy::replace_all(const Options& options, TimePoint now) {
  options_ = options;
  limits_ = PhaseLimits(options);
  resize(options.concurrency, now);
  for (auto& [index, slot] : slots_) {
    if (slot.life() == SlotState::Life::alive) slot.stale = true;
  }
}

Millis Policy::backoff(int failures) {
  const double unit = std::uniform_real_distribution<double>(0.0, 1.0)(random_);
  return backoff_delay(failures, options_.restart_backoff, options_.restart_backoff_max, unit);
}

std::string Policy::not_live_reason(TimePoint now) const {
  bool any = false;
  bool all_looping = true;
  for (const auto& [index, slot] : slots_) {
    if (slot.life() == SlotState::Life::alive && slot.killed_at &&
        now - *slot.killed_at > kUnkillable) {
      return "slot " + std::to_string(index) + " was killed and does not end";
    }
    if (index == kMaintenanceSlot || !slot.wanted()) continue;
    any = true;
    all_looping = all_looping && slot.crash_looping;
  }
  return any && all_looping ? "every slot is crash-looping" : "";
}

}  // namespace pgforeman
