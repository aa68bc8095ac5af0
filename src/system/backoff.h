#pragma once
// Exponential backoff: base * 2^n, capped, with a jitter of +-20 %, so that processes that failed
// together do not retry together. Pure: `unit` is a random number in [0, 1).

#include <algorithm>
#include <cmath>

#include "system/clock.h"

namespace pgforeman {

inline Millis backoff_delay(int failures, Millis base, Millis cap, double unit) {
  const double exponent = std::min(std::max(failures, 0), 60);
  const double raw = std::min(static_cast<double>(base.count()) * std::exp2(exponent),
                              static_cast<double>(cap.count()));
  return Millis{static_cast<Millis::rep>(raw * (0.8 + 0.4 * unit))};
}

}  // namespace pgforeman
