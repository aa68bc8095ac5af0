#pragma once
// The faults of a run, with time and duration: made from a seed, so that a run can be repeated.

#include <cstdint>
#include <string>
#include <vector>

#include "faults/fault.h"

namespace pgforeman::test {

struct Strike {
  double at = 0;     ///< seconds after the run's begin
  double lasts = 0;  ///< seconds; 0: an instant
  const Fault* fault = nullptr;
  std::uint64_t seed = 0;  ///< for the fault's choices: which slot, which sessions
};

/// Returns strikes in order of time. The last part of the run has none, so that the fleets can
/// empty the queue. The same arguments give the same plan on every machine.
std::vector<Strike> make_plan(std::uint64_t seed, double seconds,
                              const std::vector<const Fault*>& faults);

std::string to_text(const Strike& strike);

}  // namespace pgforeman::test
