#pragma once
// Settles the ledgers of dead consumers: ended messages by their outcome, running ones as a crash
// or released, unstarted ones released without counting an attempt. Fork: after.

#include <list>
#include <optional>
#include <string>
#include <vector>

#include "fleet/ledger.h"
#include "maintenance/tools.h"
#include "process/in_doubt_claim.h"
#include "process/settle_each.h"
#include "process/settled.h"

namespace pgforeman {

class Rescue {
 public:
  explicit Rescue(const MaintenanceTools& tools) : tools_(tools) {}

  /// Throws DatabaseError; what was not settled is found again by the next call. True when
  /// something was settled that may be due soon.
  bool run_once();
  /// The fleet ends: deferred rescues are due now.
  void hurry();
  /// Whether there is a dead consumer's ledger that was not settled yet.
  bool unsettled() const;
  /// The last run had more to do than it took time for.
  bool turn_over() const { return turn_over_; }
  /// When it must run again without a call: for the rows of a claim in doubt, or a deferred ledger.
  /// max: never.
  TimePoint next() const;

 private:
  /// Something to do about a dead consumer's ledger, which is orphaned until all of that is done: a
  /// successor starts over.
  struct Job {
    LedgerId ledger;
    TimePoint due{};  ///< new ones first
    Millis wait{0};   ///< before the last time, or (search) until the next
    /// A claim whose consumer died before the answer came. The server may still execute it, so its
    /// rows may appear after the first search. Nothing: settle the ledger's entries.
    std::optional<Claim> search{};
    Death death{};  ///< search: of its consumer
  };
  using Jobs = std::list<Job>;

  bool try_rescue(Jobs::iterator job);
  void rescue(Jobs::iterator job);
  bool look_for_claim(Jobs::iterator job);
  std::vector<Settled> settle(const LedgerReading& reading, Ledger& ledger);
  void defer_rescue(Job& job, const std::string& reason);
  void record(const LedgerReading& reading, std::size_t entry, Settled settled);
  bool is_orphaned(LedgerId ledger) const;
  bool has_job(LedgerId ledger) const;
  void end(Jobs::iterator job);

  const MaintenanceTools& tools_;
  Jobs jobs_;
  bool turn_over_ = false;
};

}  // namespace pgforeman
