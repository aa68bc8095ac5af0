#pragma once
// Reports the fleet's state: the supervisor's private table joined with checked readings of shared
// memory, which may hold anything. Read-only; the supervisor alone.

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "fleet/scoreboard.h"
#include "options/options.h"
#include "supervisor/fleet_view.h"
#include "supervisor/policy.h"
#include "system/clock.h"

namespace pgforeman {

/// A slot's process; the last one if it has none now.
struct Child {
  pid_t pid = 0;  ///< 0: no process now
  std::uint32_t epoch = 0;
  LedgerId ledger = LedgerId::none;
  std::uint64_t exits = 0;
  std::optional<LastExit> last_exit;
  TimePoint exited_at;
};

/// The supervisor's private table; children by slot.
struct FleetTable {
  std::map<int, Child> children;
  std::map<std::string, std::uint64_t> exits_by_cause;
  TimePoint started_at;
  bool noop_refused = false;
};

class FleetReport {
 public:
  /// Each reference must outlive the report.
  FleetReport(const Options& options, Scoreboard& board, const Policy& policy,
              const FleetTable& table)
      : options_(options), board_(board), policy_(policy), table_(table) {}

  FleetView view() const;
  /// Returns what the living children report, for the policy.
  Observations observations() const;
  Observation observation(int slot, const Child& child) const;
  std::string running_messages() const;  ///< up to 8 ids, then a count of the rest; "" if none

 private:
  HandlerView handler_view(TimePoint now) const;
  SlotView slot_view(int index, const SlotState& state, TimePoint now) const;
  void judge_readiness(FleetView& view) const;

  const Options& options_;
  Scoreboard& board_;
  const Policy& policy_;
  const FleetTable& table_;
};

}  // namespace pgforeman
