#pragma once
// Keeps the leases of a consumer's batch, and finds out that one is lost. Maintenance renews all
// leases of the fleet at a third of their time; a consumer renews its own at half of it if
// maintenance did not. Fork: after.

#include <cstddef>

#include "consumer/tools.h"

namespace pgforeman {

class LeaseKeeper {
 public:
  LeaseKeeper(const ConsumerTools& tools, const LedgerWriter& ledger)
      : tools_(tools), ledger_(ledger) {}

  /// A claim was sent at `time`, when the leases of its messages begin.
  void claimed(TimePoint time) { leased_at_ = time; }
  TimePoint leased_at() const { return leased_at_; }

  /// Call before a message's run: it may have waited long, also through an outage. Marks it as lost
  /// if its lease is. Throws DatabaseError.
  void check(std::size_t index, TimePoint now);
  /// As check(), while a message runs. An outage does not end the run: the lease is checked again
  /// with the next session.
  void check_running(std::size_t running);

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
