#pragma once
// What the duties of maintenance report: whether one fails, since when and why. Writer:
// maintenance; read by the supervisor for the endpoint, which bounds what it reads. Fork: after.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fleet/shared_text.h"
#include "system/clock.h"

namespace pgforeman {

enum class Duty : std::uint8_t { rescue, wake, renew, sweep, promote, count };
inline constexpr std::size_t kDuties = 6;

constexpr std::string_view to_string(Duty duty) {
  constexpr std::array<std::string_view, kDuties> kNames = {"rescue", "wake",    "renew",
                                                            "sweep",  "promote", "count"};
  return kNames[static_cast<std::size_t>(duty)];
}

struct DutyReading {
  std::int64_t failing_since_ms = 0;  ///< monotonic; 0: it works
  std::uint64_t failures = 0;
  std::string reason;  ///< of the last failure, while it fails
};

class DutyBoard {
 public:
  void failed(Duty duty, std::string_view reason, TimePoint now);
  /// True if it failed before.
  bool worked(Duty duty) {
    auto& since = of(duty).failing_since_ms;
    return since.load() != 0 && since.exchange(0) != 0;
  }
  DutyReading read(Duty duty) const;

 private:
  struct State {
    std::atomic<std::int64_t> failing_since_ms;
    std::atomic<std::uint64_t> failures;
    SharedText<200> reason;
  };
  State& of(Duty duty) { return states_[static_cast<std::size_t>(duty)]; }
  const State& of(Duty duty) const { return states_[static_cast<std::size_t>(duty)]; }

  std::array<State, kDuties> states_;
};

}  // namespace pgforeman
