#pragma once
// A snapshot of the fleet for the endpoint: plain values that the supervisor fills from its private
// table and checked readings of the scoreboard. Reading it cannot block or fail.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fleet/slot.h"

namespace pgforeman {

struct MessageCounters {
  std::uint64_t done = 0, retry = 0, dead = 0, released = 0, lost_lease = 0;
};

struct LastExit {
  std::string cause;    ///< an ExitCause's name (see policy.h)
  std::string explain;  ///< for a person: "killed by SIGKILL: missed its running deadline"
  double seconds_ago = 0;
};

struct SlotView {
  int slot = 0;             ///< -1 for maintenance
  std::string role;         ///< "consumer" or "maintenance"
  int pid = 0;              ///< 0: no process now
  std::uint32_t epoch = 0;  ///< number of processes forked into this slot
  Phase phase = Phase::empty;
  double phase_seconds = 0;          ///< time in this phase
  double deadline_in_seconds = 0;    ///< until the phase must end (negative: overdue)
  double heartbeat_age_seconds = 0;  ///< since the last report
  bool connected = false;            ///< its database session works, by its last report
  bool reconnecting = false;         ///< its session broke less than 2 s ago
  std::optional<std::int64_t> message_id;
  int attempt = 0;
  std::uint32_t batch = 0;  ///< messages wanted by its last claim; 0: no claim yet
  std::uint64_t restarts = 0;
  bool crash_looping = false;
  double restart_in_seconds = 0;  ///< rest of the restart backoff; 0: none
  std::optional<LastExit> last_exit;
  MessageCounters messages;
};

struct QueueView {
  std::int64_t ready = 0, scheduled = 0, running = 0, dead = 0;
  double oldest_seconds = 0;
  double age_seconds = 0;  ///< since these counts were made
  bool capped = false;     ///< a count stopped at its limit, so it is a lower bound
};

/// A duty of the maintenance process; see duty_board.h.
struct DutyView {
  std::string name;
  std::optional<double> failing_seconds;  ///< empty while it works
  std::uint64_t failures = 0;
  std::string reason;
};

/// The state of the handler's program.
struct HandlerView {
  std::string start = "unknown";  ///< unknown, failed, lives, started
  std::uint64_t failed_starts = 0;
  std::string problem;            ///< of the last failed start; empty unless `start` is failed
  std::uint64_t failed_runs = 0;  ///< since the last run that succeeded
  bool braking = false;           ///< every run fails, so one message runs at a time
  double next_run_in_seconds = 0;
};

struct FleetView {
  std::string version;
  std::string state;  ///< starting, running, draining
  std::string queue;
  int pid = 0;
  double uptime_seconds = 0;
  bool live = true;
  bool ready = false;
  std::string not_live_reason, not_ready_reason;
  std::vector<SlotView> slots;  ///< consumers in slot order
  SlotView maintenance;
  std::optional<QueueView> counts;  ///< none until maintenance has counted
  std::vector<DutyView> duties;
  std::map<std::string, std::uint64_t> refused;                  ///< messages, by RefusedChange
  MessageCounters messages;                                      ///< of all slots, also former ones
  std::array<std::uint64_t, kHandlerBuckets> handler_buckets{};  ///< not cumulative
  double handler_seconds_sum = 0;
  HandlerView handler;
  std::map<std::string, std::uint64_t> exits_by_cause;
  std::map<std::string, std::uint64_t> failures_by_cause;  ///< messages not finished, by Cause
  std::uint64_t log_lines_dropped = 0;
};

}  // namespace pgforeman
