#pragma once
// Claims messages for a consumer; in the same transaction it settles what is done. Fork: after.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "consumer/claim_state.h"
#include "consumer/handler_watch.h"
#include "consumer/lease_keeper.h"
#include "consumer/open_claim.h"
#include "consumer/settler.h"
#include "consumer/tools.h"

namespace pgforeman {

/// How a claim is made.
struct ClaimPlan {
  bool careful = false;  ///< row by row and without payloads
  bool settles = false;  ///< settles the batch's done messages in its transaction
};

/// Result of claim().
enum class Claimed {
  all,    ///< as many as it wanted: there may be more
  fewer,  ///< or none: the queue is empty
  again,  ///< not known, so repeat the step: a drain began, the claim failed, or it found nothing
          ///< where messages may be left
};

class Claimer {
 public:
  Claimer(const ConsumerTools& tools, Settler& settler, LeaseKeeper& leases,
          const HandlerWatch& watch)
      : tools_(tools), settler_(settler), leases_(leases), watch_(watch), open_(tools) {}

  /// Decides how the next claim is made. `may_wait`: it may have to wait, so it is not to settle
  /// done messages. If it does not settle, Settler::settle() and settle_made() come before it.
  ClaimPlan plan(bool may_wait) const;
  void settle_made() { state_.settled(); }
  /// Claims into the batch. After a DatabaseError the claim may be open.
  [[nodiscard]] Claimed claim(ClaimPlan plan);
  /// True if the last claim emptied the queue less than 2 ms ago and maintenance polls: a claim now
  /// would find next to nothing. True once a claim; further calls return false.
  [[nodiscard]] bool just_emptied();
  /// Claims with lost answers.
  OpenClaim& in_doubt() { return open_; }

 private:
  /// Where a claim begins.
  struct Beginning {
    Marks marks{};
    std::optional<std::size_t> reserved;  ///< the lane in which it reserved numbers
    bool has_turn = false;                ///< it has the turn at the marks
  };

  Beginning find_beginning(int wanted);
  void record_found(const Beginning& beginning, std::span<const ClaimedMessage> messages,
                    int wanted);
  std::vector<ClaimedMessage> ask(int wanted, const Claim& claim, const Settler::WithClaim& done);
  std::vector<ClaimedMessage> ask_each(int wanted, const Claim& claim, bool& refused_any);
  bool failed(const Settler::WithClaim& done, const DatabaseError& error, bool careful, int wanted);
  void log_damage(const Queue::ClaimedEach::Refusal& refused);
  Token next_token();

  const ConsumerTools& tools_;
  Settler& settler_;
  LeaseKeeper& leases_;
  const HandlerWatch& watch_;
  OpenClaim open_;
  ClaimState state_;
  std::optional<TimePoint> marks_by_;  ///< the first claim waits until then for the fleet's marks
  std::uint64_t claims_ = 0;
};

}  // namespace pgforeman
