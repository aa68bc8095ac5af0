#pragma once
// When to fork, what to kill, how to drain: pure decisions over what the supervisor passes in.
//
// No system call and no clock reading inside: `now` comes in, actions come out, so the whole of it
// is tested by tables without a fork. The caller carries out every action it is given, in order.
//
// What it knows of a slot: slot_state.h. Slots 0..N-1 are consumers; kMaintenanceSlot is supervised
// by the same rules, but drains last.

#include <array>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/phase_limits.h"
#include "options/options.h"
#include "pgforeman/outcome.h"
#include "supervisor/slot_state.h"
#include "system/child_exit.h"
#include "system/clock.h"

namespace pgforeman {

struct Action {
  enum class Kind {
    fork,     ///< start a child in `slot`
    signal,   ///< send `signal` to the child of `slot`
    give_up,  ///< the first fleet could not be forked in time: drain, then exit 71
    finished  ///< everything has ended: leave
  };
  Kind kind;
  int slot = 0;
  int signal = 0;
  std::string why;  ///< for the log; empty: nothing worth a line
};

/// Why a child ended: the `cause` label of pgforeman_child_exits_total.
enum class ExitCause {
  drained,
  recycled,
  exit_code,
  signal,
  core,
  out_of_memory,
  deadline,
  shutdown
};
/// In their order.
inline constexpr std::array<std::string_view, 8> kExitCauseNames = {
    "drained", "recycled", "exit_code", "signal", "core", "out_of_memory", "deadline", "shutdown"};

constexpr std::string_view to_string(ExitCause cause) {
  return kExitCauseNames[static_cast<std::size_t>(cause)];
}

/// The verdict on one exit.
struct ExitVerdict {
  ExitCause cause = ExitCause::exit_code;
  std::string explain;                  ///< how, and why if we did it
  Cause blame = Cause::consumer_crash;  ///< of the message it was running; none: not its fault
  bool new_crash_loop = false;          ///< this exit made the slot crash-looping
  std::optional<Millis> restart_in;
};

class Policy {
 public:
  Policy(const Options& options, TimePoint now, unsigned seed);

  /// Decides by the time and what the children report. Call at least every kTick. `unrescued`:
  /// something that dead consumers held is not settled yet.
  std::vector<Action> tick(TimePoint now, const Observations& observed, bool unrescued = false);
  static constexpr Millis kTick{200};
  /// When to call tick() next: after kTick, or earlier for a slot that is due before.
  TimePoint next_tick(TimePoint now) const;

  void on_forked(int slot, TimePoint now);
  void on_fork_failed(int slot, TimePoint now);
  ExitVerdict on_exit(int slot, const ChildExit& exit, const Observation& last, TimePoint now);

  /// TERM or INT: drains the fleet under one deadline. Again: changes nothing.
  void stop(TimePoint now);
  /// Ends the fleet's patience: handlers are ended at once.
  void hurry(TimePoint now);
  bool stopping() const { return stopping_since_.has_value(); }
  /// When the grace of a fleet that stops ends. Only while stopping().
  TimePoint ends_at() const { return *stopping_since_ + options_.shutdown_grace; }
  bool gave_up() const { return gave_up_; }

  /// TTIN/TTOU and reload. Returns the count after its limits.
  int resize(int concurrency, TimePoint now);
  int concurrency() const { return options_.concurrency; }
  /// New options; every child is replaced, one at a time.
  void replace_all(const Options& options, TimePoint now);

  const std::map<int, SlotState>& slots() const { return slots_; }
  /// Nothing but a restart of the pod would help; empty while the fleet is live.
  std::string not_live_reason(TimePoint now) const;

 private:
  void step_slot(int index, SlotState& slot, TimePoint now, const Observations& observed,
                 std::vector<Action>& actions);
  void observe(SlotState& slot, const Observation& seen, TimePoint now) const;
  static Deadline own_deadline(const SlotState& slot);
  Deadline deadline_of(int index, const SlotState& slot) const;
  void enforce_deadline(int index, SlotState& slot, TimePoint now, std::vector<Action>& actions);
  void drain(int index, SlotState& slot, TimePoint now, int signal, std::vector<Action>& actions);
  void drain_fleet(TimePoint now, std::vector<Action>& actions);
  bool may_fork(int index, TimePoint now) const;
  /// One slot after the other gets a child with the newer options.
  void replace_next(TimePoint now, std::vector<Action>& actions);
  void record_boot_failure(SlotState& slot, TimePoint now, ExitVerdict& verdict);
  Millis backoff(int failures);

  Options options_;
  PhaseLimits limits_;
  std::minstd_rand random_;
  std::map<int, SlotState> slots_;
  TimePoint started_at_;
  TimePoint last_tick_;
  TimePoint no_kill_before_;
  std::optional<TimePoint> stopping_since_;
  bool hurrying_ = false;
  bool unrescued_ = false;
  bool gave_up_ = false;
  bool first_fleet_forked_ = false;
};

}  // namespace pgforeman
