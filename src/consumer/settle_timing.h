#pragma once
// When the outcomes of a batch that goes on are settled. Brief messages share a settle, which costs
// about 100 us however many they are. Pure.

#include "pgforeman/outcome.h"
#include "system/clock.h"

namespace pgforeman {

class SettleTiming {
 public:
  /// A message ended. `may_wait`: true if it may wait for other messages to share its settle.
  void ended(Outcome::Kind kind, bool may_wait, TimePoint now);
  /// A settle was made. `next`: due time of the earliest unsettled message; max if none.
  void settled(TimePoint next) { due_ = next; }
  TimePoint due() const { return due_; }

 private:
  TimePoint due_ = TimePoint::max();
};

}  // namespace pgforeman
