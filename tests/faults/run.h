#pragma once
// A fault run: fleets, load, a plan of faults, and in the end the books.

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
  std::string keep;     ///< a folder for ledger and logs; "": only of a run that failed
  std::function<void(const std::string&)> progress;  ///< gets a line every few seconds; may be null
};

/// What of a fleet that is watched all the while must stay flat.
struct Flat {
  double at = 0;  ///< seconds after the run's begin
  double memory_mib = 0;
  std::size_t descriptors = 0;
};

struct Report {
  Verdict verdict;
  std::map<std::string, int> struck, missed;  ///< by the fault's name
  std::vector<Flat> supervisor;               ///< early, and at the end
  std::string probes;                         ///< what the watch has seen
  double seconds = 0;
  std::string kept;  ///< the folder of ledger and logs; "": they are gone
  bool ok() const { return verdict.problems.empty(); }
  std::string text() const;
};

/// Throws std::runtime_error when the run itself cannot be played.
Report play(const RunOptions& options);

}  // namespace pgforeman::test
