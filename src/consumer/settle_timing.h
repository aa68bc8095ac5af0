#pragma once
// When the outcomes of a batch that goes on are settled. Brief messages share a settle, which costs
// about 100 us however many they are. Pure.

#include <algorithm>

#include "pgforeman/outcome.h"
#include "system/clock.h"

namespace pgforeman {

class SettleTiming {
 public:
  /// A message ended. `may_wait`: true if it may wait for other messages to share its settle.
  void ended(Outcome::Kind kind, bool may_wait, TimePoint now) {
    // Other consumers may be waiting for released messages.
    const bool waits = may_wait && kind != Outcome::Kind::released;
    const Millis time = kind == Outcome::Kind::done ? kDoneWaits : kFailureWaits;
    due_ = std::min(due_, waits ? now + time : TimePoint::min());
  }
  /// A settle was made. `next`: due time of the earliest unsettled message; max if none.
  void settled(TimePoint next) { due_ = next; }
  TimePoint due() const { return due_; }

 private:
  // If its consumer dies before the settle, maintenance settles the message from the ledger. The
  // ledger has no error text, so a failure's reason is lost.
  static constexpr Millis kDoneWaits{10}, kFailureWaits{2};

  TimePoint due_ = TimePoint::max();
};

}  // namespace pgforeman
