#pragma once
// What one message that the database refuses costs those beside it.

#include <functional>
#include <string>
#include <vector>

#include "support/refusal.h"

namespace pgforeman::test {

struct NeighbourRate {
  RefusedCall what = RefusedCall::claim;
  double without = 0, with = 0;  ///< messages done a second
  double part() const { return without > 0 ? with / without : 0; }
};

/// For each duty, or those in `only`: a fleet with all the work it can do, in windows of five
/// seconds with and without such a message in turn, `seconds` in all. `progress` gets a line a
/// duty. Throws std::runtime_error if a fleet does not start.
std::vector<NeighbourRate> measure_neighbours(
    double seconds, const std::vector<std::string>& only,
    const std::function<void(const std::string&)>& progress);

}  // namespace pgforeman::test
