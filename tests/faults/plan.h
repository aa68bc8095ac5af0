#pragma once
// What will be broken, when and for how long: made from a seed, so that a run can be repeated.

#include <cstdint>
#include <string>
#include <vector>

#include "faults/fault.h"

namespace pgforeman::test {

struct Strike {
  double at = 0;     ///< seconds after the run's begin
  double lasts = 0;  ///< seconds; 0: a moment
  const Fault* fault = nullptr;
  std::uint64_t seed = 0;  ///< of its own choices: which slot, which sessions
};

/// In order of time, none in the last part of the run, in which what is left is worked off. The
/// same arguments give the same plan on every machine.
std::vector<Strike> make_plan(std::uint64_t seed, double seconds,
                              const std::vector<const Fault*>& faults);

std::string to_text(const Strike& strike);

}  // namespace pgforeman::test
