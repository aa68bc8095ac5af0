#pragma once
// A fault run: starts fleets and load, plays a plan of faults, then audits the books.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "faults/books.h"
#include "faults/fault.h"

namespace pgforeman::test {

struct RunOptions {
  std::uint64_t seed = 1;
  double seconds = 60;
  double rate = 100;  ///< messages sent a second
  std::vector<const Fault*> faults;
  bool pooled = false;  ///< one of the fleets is behind PgBouncer from the start
  std::string keep;     ///< folder for ledger and logs; "": kept only if the run fails
  std::function<void(const std::string&)> progress;  ///< gets a line every few seconds; may be null
};

/// Measurements of the watched supervisor that must not grow.
struct Flat {
  double at = 0;  ///< seconds after the run's begin
  double memory_mib = 0;
  std::size_t descriptors = 0;
};

struct Report {
  Verdict verdict;
  std::map<std::string, int> struck, missed;  ///< by the fault's name
  std::vector<Flat> supervisor;               ///< measured early, and at the end
  std::string probes;                         ///< report of the Watch
  double seconds = 0;
  std::string kept;  ///< folder of ledger and logs; "": deleted
  bool ok() const { return verdict.problems.empty(); }
  std::string text() const;
};

/// Plays a run. Throws std::runtime_error if the run itself is not possible.
Report play(const RunOptions& options);

}  // namespace pgforeman::test
