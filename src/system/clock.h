#pragma once
// Time inside the fleet is CLOCK_MONOTONIC: it is the same in every process of a host, so deadlines
// can cross the scoreboard, and wall-clock steps change nothing. Wall time is for
// people, logs and SQL.

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace pgforeman {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Millis = std::chrono::milliseconds;

/// Milliseconds on the monotonic clock, as stored in the scoreboard.
constexpr std::int64_t to_ms(TimePoint t) {
  return std::chrono::duration_cast<Millis>(t.time_since_epoch()).count();
}
/// Whatever shared memory holds: a time that is out of reach stands for 70 years from the machine's
/// start, so that differences and sums of such do not overflow either.
inline TimePoint from_ms(std::int64_t ms) {
  constexpr std::int64_t kMost = to_ms(TimePoint::max()) / 4;
  return TimePoint{Millis{std::clamp(ms, -kMost, kMost)}};
}
/// Milliseconds on the wall clock, for people and SQL.
inline std::int64_t wall_ms() {
  return std::chrono::duration_cast<Millis>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace pgforeman
