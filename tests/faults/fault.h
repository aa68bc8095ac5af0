#pragma once
// A fault as data: what is broken, for how long, how often, and what it may cost. The catalogue
// (catalogue.cpp) lists all faults; a run (run.h) plays a plan (plan.h) of them.

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "faults/dice.h"

namespace pgforeman::test {

class Stage;

/// Says if a message that runs during a fault may be run again without a trace in the database.
enum class Leases {
  kept,          ///< no: each such run must be in the message's history
  lost_if_long,  ///< yes, if the fault lasts so long that leases may end
  lost,          ///< yes: no process is left to settle the message
};

struct Fault {
  struct Struck {
    std::string fleet;                ///< the fleet that was hit; "": all fleets
    std::function<void()> undo;       ///< ends the fault; may be null; repeated while it throws
    std::set<std::int64_t> ids = {};  ///< only these messages; empty: any
  };

  /// Starts the fault. Returns nothing, or throws std::runtime_error, if its target does not exist
  /// at the moment.
  using How = std::function<std::optional<Struck>(Stage&, Dice&)>;

  std::string name;
  std::string text;  ///< describes the fault in the report
  double least_seconds = 0, most_seconds = 0;
  double per_minute = 0;  ///< how often in a mixed run
  Leases leases = Leases::kept;
  How strike;
  int workers = 0;      ///< number of consumers or handlers that it may end
  bool planned = true;  ///< false: only in a run that names the fault
  bool tells = false;   ///< handlers get SIGTERM, their fleet does not
};

const std::vector<Fault>& catalogue();
/// Throws std::runtime_error, with all names, if there is no such fault.
const Fault& fault_named(const std::string& name);

}  // namespace pgforeman::test
