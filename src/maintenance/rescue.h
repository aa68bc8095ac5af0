#pragma once
// The duty that makes a crash cheap: settles what dead consumers left in their ledgers. What they
// had finished is told to the queue, what they were running is blamed if it is to blame, what had
// not started goes back at no attempt. Fork: after.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "child/settle_each.h"
#include "child/settled.h"
#include "child/unheard_claim.h"
#include "maintenance/tools.h"
#include "scoreboard/ledger.h"

namespace pgforeman {

class Rescue {
 public:
  explicit Rescue(const MaintenanceTools& tools) : tools_(tools) {}

  /// Throws DatabaseError; what was not settled is found again by the next call. True when
  /// something was settled that may be due soon.
  bool run_once();
  /// The fleet ends: what was put off is due now.
  void hurry();
  /// Whether there is a dead consumer's ledger that was not settled yet.
  bool unsettled() const;
  /// The last run had more to do than it took time for.
  bool turn_over() const { return turn_over_; }
  /// When it must run again without a call: for the rows of an unheard claim, or a ledger that
  /// was put off. max: never.
  TimePoint next() const;

 private:
  bool try_rescue(int ledger);
  void rescue(int ledger);
  std::vector<Settled> settle(const LedgerReading& reading, Ledger& ledger);
  void put_off(int ledger, const std::string& reason);
  void record(const LedgerReading& reading, std::size_t entry, Settled settled);
  bool is_orphaned(int ledger) const;
  bool is_given_away(int ledger);
  bool is_searched(int ledger) const;
  bool is_new(int ledger) const;
  std::optional<int> longest_due() const;
  void free_ledger(int ledger);
  bool ends_turn();
  bool release_unheard();

  /// A claim whose consumer died before it heard the answer. The server may still be working on
  /// it, so that its rows can turn up after the first look.
  struct Search {
    int ledger;  ///< stays orphaned until the last look: a successor starts over
    UnheardClaim claim;
    Death death;
    Millis wait;  ///< until the look after the next
    TimePoint next_look;
  };

  const MaintenanceTools& tools_;
  std::vector<Search> searches_;
  /// A ledger with a row that is locked, or that met another error that passes.
  struct PutOff {
    TimePoint until;
    Millis wait{0};
  };
  std::map<int, PutOff> put_off_;
  TimePoint turn_ends_;
  bool turn_over_ = false;
};

}  // namespace pgforeman
