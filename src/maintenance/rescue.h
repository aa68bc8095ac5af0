#pragma once
// The duty that makes a crash cheap: settles what dead consumers left in their ledgers. What they
// had finished is told to the queue, what they were running is blamed if it is to blame, what had
// not started goes back at no attempt. Fork: after.

#include <string>
#include <vector>

#include "child/settled.h"
#include "maintenance/tools.h"
#include "scoreboard/ledger.h"

namespace pgforeman {

class Rescue {
 public:
  explicit Rescue(const MaintenanceTools& tools) : tools_(tools) {}

  /// Throws DatabaseError; what was not settled is found again by the next call. True when
  /// something was settled that may be due soon.
  bool run_once();
  /// When it must run again though nobody calls.
  TimePoint next() const;

 private:
  void rescue(int ledger);
  std::vector<Settled> settle(const LedgerReading& ledger, int slot);
  bool release_unheard();

  /// A claim whose consumer died before it heard the answer. The server may still be working on
  /// it, so that its rows can turn up after the first look.
  struct UnheardClaim {
    int ledger;  ///< stays orphaned until the last look: whoever replaces us starts over
    std::int64_t token;
    Marks marks;  ///< from where it looks
    Death death;
    Millis wait;  ///< until the look after the next
    TimePoint next_look;
  };

  const MaintenanceTools& tools_;
  std::vector<UnheardClaim> unheard_;
};

}  // namespace pgforeman
