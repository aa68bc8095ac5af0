#pragma once
// How long a duty of maintenance rests after a failure, so that it holds up no other. Pure.

#include <algorithm>

#include "system/clock.h"

namespace pgforeman {

class DutyRest {
 public:
  bool rests(TimePoint now) const { return now < until_; }
  TimePoint until() const { return until_; }
  /// 200 ms after the first failure in a row, twice as long after each more, at most 5 s.
  void failed(TimePoint now) {
    wait_ = std::clamp(2 * wait_, Millis{200}, Millis{5000});
    until_ = now + wait_;
  }

 private:
  Millis wait_{0};
  TimePoint until_{};
};

}  // namespace pgforeman
