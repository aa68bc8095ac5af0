#pragma once
// Settles outcomes in the queue, counts and logs them. Fork: after.

#include <cstddef>
#include <optional>
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
  /// Ends unstarted messages as released, without counting an attempt; the next settle sends that.
  /// `but`: one that is kept.
  void release_waiting(std::optional<std::size_t> but = {});

  /// Settles every outcome that the queue does not know. Deferred ones are left out until one is
  /// due or a drain began; then all go. Throws DatabaseError; a later call settles the rest.
  void settle();
  /// As settle(), while a message runs. Connects if necessary; after a failure the next
  /// try is 5 s later.
  void settle_while_running();
  /// Returns when to call settle() although the batch has not ended.
  TimePoint due() const;

  /// Done messages that a claim settles in its own transaction.
  struct WithClaim {
    std::vector<std::size_t> indexes;
    std::vector<std::int64_t> ids;
    Token token = Token::none;
  };
  /// Begins the settle of the done messages that the next claim settles. Followed by
  /// claim_settled() or claim_failed().
  [[nodiscard]] WithClaim begin_with_claim();
  void claim_settled(const WithClaim& done);
  /// Call when the claim failed.
  void claim_failed(const WithClaim& done, const DatabaseError& error) {
    failed(done.indexes, error);
  }

 private:
  std::vector<Settled> ask(std::span<const Settlement> settlements, Batch::Indexes indexes);
  void failed(Batch::Indexes indexes, const DatabaseError& error);
  void apply(std::size_t index, Settled settled);
  void finish(std::size_t settled);

  const ConsumerTools& tools_;
  VacuumDuty& vacuum_;
  SettleTiming timing_;
  std::size_t most_ = kMaxBatch;  ///< messages of a settle: fewer after one that took too long
  TimePoint try_at_;              ///< without a session: next try while a message runs
};

}  // namespace pgforeman
