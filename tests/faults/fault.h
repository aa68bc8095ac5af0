#pragma once
// A fault as data: what is broken, for how long, how often, and what it may cost. The catalogue
// (catalogue.cpp) is the list of all; a run (run.h) plays a plan (plan.h) of them.

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "faults/dice.h"

namespace pgforeman::test {

class Stage;

/// Whether a message that runs meanwhile may be run again without a trace in the database.
enum class Leases {
  kept,          ///< no: each such run must stand in the message's history
  lost_if_long,  ///< yes, when it lasts so long that leases may end
  lost,          ///< yes: no process is left to settle it
};

struct Fault {
  struct Struck {
    std::string fleet;                ///< whose messages may pay for it; "": all fleets'
    std::function<void()> undo;       ///< ends it; may be null. Tried again when it throws
    std::set<std::int64_t> ids = {};  ///< only these messages; empty: any
  };

  /// Nothing when what it hits is not there at the moment. May throw std::runtime_error for the
  /// same.
  using How = std::function<std::optional<Struck>(Stage&, Dice&)>;

  std::string name;
  std::string text;  ///< what happens, for the report
  double least_seconds = 0, most_seconds = 0;
  double per_minute = 0;  ///< in a mixed run
  Leases leases = Leases::kept;
  How strike;
  int workers = 0;      ///< so many consumers or handlers it may end
  bool planned = true;  ///< false: only in a run that names it
  bool tells = false;   ///< its handlers get SIGTERM, and their fleet does not
};

const std::vector<Fault>& catalogue();
/// Throws std::runtime_error, with all names, for a name that is none.
const Fault& fault_named(const std::string& name);

}  // namespace pgforeman::test
