#pragma once
// Finds the few of many that the database refuses: about 20 calls for one of 1,000. Fork: after.

#include <cstddef>
#include <deque>

#include "system/clock.h"

namespace pgforeman {

struct Part {
  std::size_t first;
  std::size_t count;
};

/// Calls `attempt` for both halves of `count` things, then for the halves of each part for which it
/// returned false. Larger parts come first, as most succeed. Stops after half a second, more than
/// twice the 200 ms that a call waits for a lock; returns the parts that were not tried.
template <typename Attempt>  // bool(Part); the result for a part of one counts as true
std::deque<Part> in_halves(std::size_t count, Attempt&& attempt) {
  const TimePoint until = Clock::now() + Millis{500};
  std::deque<Part> parts;
  const auto halve = [&](const Part& part) {
    const std::size_t half = part.count / 2;
    if (half > 0) parts.push_back({part.first, half});
    if (part.count > 1) parts.push_back({part.first + half, part.count - half});
  };
  for (halve({0, count}); !parts.empty() && Clock::now() < until; parts.pop_front()) {
    if (!attempt(parts.front())) halve(parts.front());
  }
  return parts;
}

}  // namespace pgforeman
