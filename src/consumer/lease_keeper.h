#pragma once
// Keeps the leases of a consumer's batch, and finds out that one is lost. Maintenance renews all
// leases of the fleet at a third of their time; a consumer helps itself at half of it. Fork: after.

#include <cstddef>

#include "consumer/tools.h"

namespace pgforeman {

class LeaseKeeper {
 public:
  LeaseKeeper(const ConsumerTools& tools, const LedgerWriter& ledger)
      : tools_(tools), ledger_(ledger) {}

  /// A claim was sent at `time`: from then on the leases of what it returns count.
  void claimed(TimePoint time) { leased_at_ = time; }
  TimePoint leased_at() const { return leased_at_; }

  /// Before a message's run: it may have waited long, also through an outage. It is lost
  /// afterwards if its lease is. Throws DatabaseError.
  void check(std::size_t index, TimePoint now);
  /// While a message runs. An outage is no reason to end its handler: when the session is back, the
  /// token says whether the message is still held.
  void look_after(std::size_t running);

 private:
  bool is_old(TimePoint now);
  void record_lost(std::size_t index);
  void renew(std::size_t from);
  void lose(std::size_t index);

  const ConsumerTools& tools_;
  const LedgerWriter& ledger_;
  TimePoint leased_at_;  ///< when the last claim or renewal was sent
  TimePoint try_at_;     ///< no renewal of a running message before
};

}  // namespace pgforeman
