#pragma once
// Time inside the fleet is CLOCK_MONOTONIC. It is the same in every process of a host, so deadlines
// in the scoreboard are valid for all, and wall-clock steps change nothing. Wall time is for
// people, logs and SQL.

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace pgforeman {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Millis = std::chrono::milliseconds;

/// Returns milliseconds on the monotonic clock, as stored in the scoreboard.
constexpr std::int64_t to_ms(TimePoint t) {
  return std::chrono::duration_cast<Millis>(t.time_since_epoch()).count();
}
/// Returns the time for a value from shared memory, which may be corrupt. The time is limited to
/// about 70 years from the machine's start, so that sums and differences do not overflow.
inline TimePoint from_ms(std::int64_t ms) {
  constexpr std::int64_t kMost = to_ms(TimePoint::max()) / 4;
  return TimePoint{Millis{std::clamp(ms, -kMost, kMost)}};
}
/// Returns milliseconds on the wall clock, for people and SQL.
inline std::int64_t wall_ms() {
  return std::chrono::duration_cast<Millis>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace pgforeman
