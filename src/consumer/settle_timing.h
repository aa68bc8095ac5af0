#pragma once
// When the outcomes of a batch that goes on are settled. Brief messages share a settle, which costs
// about 100 us however many they are. Pure.

#include "pgforeman/outcome.h"
#include "system/clock.h"

namespace pgforeman {

class SettleTiming {
 public:
  /// A message ended. `may_wait`: for others to share its settle; not where one has to be soon.
  void ended(Outcome::Kind kind, bool may_wait, TimePoint now);
  /// A settle was made. `next`: when the earliest that it left is due; max: nothing is left.
  void settled(TimePoint next) { due_ = next; }
  TimePoint due() const { return due_; }

 private:
  TimePoint due_ = TimePoint::max();
};

}  // namespace pgforeman
