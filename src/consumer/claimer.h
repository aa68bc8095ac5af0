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

/// What a claim came to.
struct Claimed {
  bool made = false;  ///< false: it found nothing for a reason that is over; try again
  int wanted = 0, got = 0;

  bool found_all() const { return made && got == wanted; }
};

class Claimer {
 public:
  Claimer(const ConsumerTools& tools, Settler& settler, LeaseKeeper& leases,
          const HandlerWatch& watch)
      : tools_(tools), settler_(settler), leases_(leases), watch_(watch) {}

  /// Claims into the batch. Throws DatabaseError; then the claim may be open.
  Claimed claim();
  /// A claim was sent, and what it got is unknown.
  bool has_open_claim() const { return open_.has_value(); }
  /// Hands back what an open claim got. Throws DatabaseError when another session may do better.
  /// The server may still be at work on it, and looks that come too early find nothing: so there is
  /// one more, late_look().
  void give_back_open_claim();
  /// When to look again; max: not at all.
  TimePoint late_look_at() const;
  /// Looks if it is time to. Throws DatabaseError as above.
  void late_look(TimePoint now);
  /// The claim that a late look is still due for.
  std::optional<InDoubtClaim> late_claim() const;
  /// The last claim got something, but less than it wanted, within the last 2 ms, and so much is
  /// sent that maintenance looks each 2 ms: another claim now would find next to nothing. True
  /// once.
  bool just_emptied();

 private:
  struct OpenClaim {
    std::int64_t token = 0;
    Marks marks{};        ///< from where it looks
    std::string refused;  ///< why, when the answer came and could not be read
  };

  /// From where a claim begins; has_turn: at the marks, with the turn.
  struct Beginning {
    Marks marks{};
    std::optional<std::size_t> reserved;  ///< the priority where it begins behind others
    bool has_turn = false;
  };

  Beginning find_beginning(int wanted);
  void record_found(const Beginning& beginning, std::span<const ClaimedMessage> messages,
                    int wanted);
  bool settles_first(Batch::Indexes done, const DatabaseError& error);
  std::int64_t next_token();

  const ConsumerTools& tools_;
  Settler& settler_;
  LeaseKeeper& leases_;
  const HandlerWatch& watch_;
  struct LateLook {
    InDoubtClaim claim;
    TimePoint at;
  };

  std::optional<OpenClaim> open_;
  std::optional<LateLook> late_;  ///< of the last claim that was given up
  std::uint64_t claims_ = 0;
  bool got_less_ = false;
  bool found_all_ = false;  ///< the last claim
};

}  // namespace pgforeman
