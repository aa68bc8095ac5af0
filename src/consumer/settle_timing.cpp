#include "consumer/settle_timing.h"

#include <algorithm>

namespace pgforeman {
namespace {

// If its consumer dies before the settle, maintenance settles the message from the ledger. The
// ledger has no error text, so a failure's reason is lost.
constexpr Millis kDoneWaits{10};
constexpr Millis kFailureWaits{2};

}  // namespace

void SettleTiming::ended(Outcome::Kind kind, bool may_wait, TimePoint now) {
  // Other consumers may be waiting for what is released.
  const bool waits = may_wait && kind != Outcome::Kind::released;
  const Millis time = kind == Outcome::Kind::done ? kDoneWaits : kFailureWaits;
  due_ = std::min(due_, waits ? now + time : TimePoint::min());
}

}  // namespace pgforeman
