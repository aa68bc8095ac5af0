#pragma once
// Claims messages for a consumer; in the same transaction it settles what is done. Fork: after.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "consumer/handler_watch.h"
#include "consumer/lease_keeper.h"
#include "consumer/settler.h"
#include "consumer/tools.h"
#include "process/in_doubt_claim.h"

namespace pgforeman {

/// Result of claim().
enum class Claimed {
  all,    ///< as many as it wanted: there may be more
  some,   ///< fewer
  none,   ///< the queue is empty, or (Consumer) the batch is full
  again,  ///< not known, so repeat the step: a drain began, a settle has to come first, the claim
          ///< began above reserved numbers and found nothing, or (Consumer) no message may run now
};

class Claimer {
 public:
  Claimer(const ConsumerTools& tools, Settler& settler, LeaseKeeper& leases,
          const HandlerWatch& watch)
      : tools_(tools), settler_(settler), leases_(leases), watch_(watch) {}

  /// Claims into the batch. After a DatabaseError the claim may be open.
  [[nodiscard]] Claimed claim();
  /// True if the next claim is made row by row and without payloads, as one failed or a consumer
  /// died in one: it settles nothing.
  bool is_careful() const;
  /// True if a claim was sent and not answered.
  bool has_open_claim() const { return open_.has_value(); }
  /// Releases the messages of claims in doubt: the open claim's at once, and once more 13 s later,
  /// as the server may have executed it after the first release. Throws DatabaseError if a new
  /// session may succeed.
  void release_claims_in_doubt(TimePoint now);
  /// When the second release is due; max if none is.
  TimePoint second_release_at() const { return late_ ? late_->at : TimePoint::max(); }
  /// At the end of a drain: maintenance makes the second release.
  void leave_to_maintenance();
  /// True if the last claim emptied the queue less than 2 ms ago and maintenance polls: a claim now
  /// would find next to nothing. True once a claim; further calls return false.
  [[nodiscard]] bool just_emptied();

 private:
  struct OpenClaim {
    Claim claim;
    std::string refused;  ///< the error, if the answer came and could not be read
  };

  struct LateClaim {
    Claim claim;
    TimePoint at;
  };

  /// Where a claim begins.
  struct Beginning {
    Marks marks{};
    std::optional<std::size_t> reserved;  ///< the lane in which it reserved numbers
    bool has_turn = false;                ///< it has the turn at the marks
  };

  Beginning find_beginning(int wanted);
  void record_found(const Beginning& beginning, std::span<const ClaimedMessage> messages,
                    int wanted);
  std::vector<ClaimedMessage> ask(int wanted, bool careful, const Settler::WithClaim& done);
  bool failed(const Settler::WithClaim& done, const DatabaseError& error, bool careful, int wanted);
  void release_open_claim();
  void release_again();
  Token next_token();

  const ConsumerTools& tools_;
  Settler& settler_;
  LeaseKeeper& leases_;
  const HandlerWatch& watch_;
  std::optional<OpenClaim> open_;
  std::optional<LateClaim> late_;      ///< to release a second time
  std::optional<TimePoint> marks_by_;  ///< the first claim waits until then for the fleet's marks
  std::uint64_t claims_ = 0;
  bool got_less_ = false;     ///< the last claim got some, but fewer
  bool found_all_ = false;    ///< the last claim got all it asked for
  bool is_careful_ = false;   ///< the next claim is
  bool refused_any_ = false;  ///< the last claim found messages that the database refuses to change
};

}  // namespace pgforeman
