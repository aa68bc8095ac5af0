#pragma once
// Settles outcomes in the queue, counts and logs them. Fork: after.

#include <cstddef>
#include <vector>

#include "consumer/settle_timing.h"
#include "consumer/tools.h"
#include "consumer/vacuum_duty.h"
#include "queue/queue.h"

namespace pgforeman {

class Settler {
 public:
  Settler(const ConsumerTools& tools, VacuumDuty& vacuum) : tools_(tools), vacuum_(vacuum) {}

  /// Records the message's outcome.
  void end(std::size_t index, Outcome outcome, TimePoint now);
  /// Ends unstarted messages as released (no attempt is counted); the next settle sends that.
  void release_waiting();

  /// Settles every outcome that the queue does not know, but for deferred ones that are not due.
  /// Throws DatabaseError; a later call settles what is left.
  void settle();
  /// As settle(), while a message runs: without a session it is tried again in 5 s.
  void settle_while_running();
  /// When to settle though the batch goes on.
  TimePoint due() const;

  /// False: settle() has to come before the next claim.
  bool can_settle_with_claim() const { return !alone_ && tools_.batch.can_settle_with_claim(); }
  /// The messages that the next claim settles.
  std::vector<std::size_t> to_settle_with_claim() const;
  /// The claim settled them.
  void settled_with_claim(Batch::Indexes indexes);
  /// It did not: the next settle is made alone, as it knows what to do about locked rows.
  void claim_failed() { alone_ = true; }

 private:
  std::vector<Settled> ask(std::span<const Settlement> settlements, Batch::Indexes indexes);
  void apply(std::size_t index, Settled settled);
  void finish(std::size_t settled);

  const ConsumerTools& tools_;
  VacuumDuty& vacuum_;
  SettleTiming timing_;
  bool alone_ = false;
  TimePoint try_at_;  ///< not before, while a message runs without a session
};

}  // namespace pgforeman
