#include "faults/plan.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace pgforeman::test {

std::vector<Strike> make_plan(std::uint64_t seed, double seconds,
                              const std::vector<const Fault*>& faults) {
  Dice dice(seed);
  std::vector<Strike> plan;
  for (const Fault* fault : faults) {
    // At least once, however short the run: a fault that is named must occur.
    const double times = std::max(1.0, std::round(fault->per_minute * seconds / 60));
    for (int i = 0; i < static_cast<int>(times); ++i) {
      Strike strike;
      strike.fault = fault;
      strike.lasts = dice.between(fault->least_seconds, fault->most_seconds);
      strike.at = dice.between(0.02, 0.9) * seconds;
      strike.seed = dice.next();
      plan.push_back(strike);
    }
  }
  std::stable_sort(plan.begin(), plan.end(),
                   [](const Strike& a, const Strike& b) { return a.at < b.at; });
  return plan;
}

std::string to_text(const Strike& strike) {
  char text[160];
  std::snprintf(text, sizeof text, "%8.2f s  %-22s", strike.at, strike.fault->name.c_str());
  std::string line = text;
  if (strike.lasts > 0) {
    std::snprintf(text, sizeof text, "  for %.1f s", strike.lasts);
    line += text;
  }
  return line;
}

}  // namespace pgforeman::test
