#pragma once
// A fleet without processes for tests of the policy, on a clock that only the test moves.

#include <map>
#include <set>
#include <vector>

#include "supervisor/policy.h"

namespace pgforeman::test::policy {

using namespace std::chrono_literals;

inline Options options(int concurrency) {
  Options o;
  o.concurrency = concurrency;
  o.boot_timeout = 30s;
  o.shutdown_grace = 25s;
  o.restart_backoff = 100ms;
  o.restart_backoff_max = 30s;
  o.crash_loop_count = 5;
  o.crash_loop_window = 60s;
  o.poll_interval = 1s;
  o.handler_timeout = 60s;
  return o;
}

inline ChildExit killed(int signal) {
  ChildExit exit;
  exit.signal = signal;
  return exit;
}
inline ChildExit exited(int code) {
  ChildExit exit;
  exit.exit_code = code;
  return exit;
}

/// A fleet without processes: what the policy asks for happens at once.
class Fleet {
 public:
  explicit Fleet(int concurrency) : policy(options(concurrency), now, 7) {}

  std::vector<Action> tick() {
    auto actions = policy.tick(now, seen, unrescued);
    for (const auto& action : actions) {
      if (action.kind != Action::Kind::fork) continue;
      if (fork_works) {
        policy.on_forked(action.slot, now);
        seen.erase(action.slot);
      } else {
        policy.on_fork_failed(action.slot, now);
      }
    }
    return actions;
  }
  /// Ticks as often as the supervisor would, and collects what was asked for.
  std::vector<Action> pass(Millis time) {
    std::vector<Action> all;
    for (const TimePoint end = now + time; now < end;) {
      now += std::min(Policy::kTick, std::chrono::duration_cast<Millis>(end - now));
      for (const auto& [slot, state] : policy.slots()) {
        const bool waits = seen.contains(slot) && seen[slot].beat.phase() == Phase::waiting;
        if (waits && !silent.contains(slot)) report(slot, Phase::waiting, 1h);
      }
      for (auto& action : tick()) all.push_back(action);
    }
    return all;
  }
  void report(int slot, Phase phase, Millis limit) {
    Observation& one = seen[slot];
    one.beat = Beat::make(phase, now + limit);
    one.reached_waiting = one.reached_waiting || phase == Phase::waiting;
  }
  /// The child of `slot` says that it reached a limit.
  void reach_limit(int slot) {
    seen[slot].reached = ReachedLimit{ReachedLimit::Option::messages, 50};
  }
  void all_wait() {
    for (const auto& [slot, state] : policy.slots()) {
      if (state.life() == SlotState::Life::alive) report(slot, Phase::waiting, 1h);
    }
    tick();
  }
  ExitVerdict end(int slot, const ChildExit& exit) {
    const auto verdict = policy.on_exit(slot, exit, seen[slot], now);
    seen.erase(slot);
    return verdict;
  }

  TimePoint now{1000s};
  bool fork_works = true;
  bool unrescued = false;
  Observations seen;
  std::set<int> silent;  ///< these do not report again while they wait
  Policy policy;
};

inline int count(const std::vector<Action>& actions, Action::Kind kind, int signal = 0) {
  int n = 0;
  for (const auto& a : actions) n += a.kind == kind && a.signal == signal ? 1 : 0;
  return n;
}

inline const SlotState& slot(const Fleet& fleet, int index) {
  return fleet.policy.slots().at(index);
}

}  // namespace pgforeman::test::policy
