#pragma once
// Settles the messages in ledgers of dead consumers: ended ones by their outcome, running ones as a
// crash or released, unstarted ones as released without counting an attempt. Fork: after.

#include <list>
#include <optional>
#include <string>
#include <vector>

#include "fleet/ledger.h"
#include "maintenance/tools.h"
#include "process/in_doubt_claim.h"
#include "process/settle_each.h"

namespace pgforeman {

class Rescue {
 public:
  explicit Rescue(const MaintenanceTools& tools) : tools_(tools) {}

  /// Rescues what is due. Throws DatabaseError; the next call finds again what was not settled.
  /// True if messages were settled that may be due soon.
  bool run_once();
  /// Makes deferred rescues due now. Call when the fleet ends.
  void make_due();
  /// True if a dead consumer's ledger was not settled yet.
  bool unsettled() const;
  /// True if a ledger's rescue failed and waits for its next try.
  bool any_deferred() const;
  /// True if the last run had more to do than it took time for.
  bool out_of_time() const { return out_of_time_; }
  /// Returns when to run next, for the rows of a claim in doubt or a deferred ledger; max: never.
  TimePoint next() const;

 private:
  /// A piece of work for a dead consumer's ledger. The ledger stays orphaned until all of them are
  /// done, so that a successor of this process starts over.
  struct Job {
    LedgerId ledger;
    TimePoint due{};  ///< the default: at once, before older jobs
    Millis wait{0};   ///< the last wait; for a search the next one
    /// A claim of a consumer that died before the answer came. The server may still execute it, so
    /// its rows may appear after the first search. Nothing: settle the ledger's entries.
    std::optional<Claim> search{};
    Death death{};  ///< of the consumer; for a search only
    bool deferred = false;
  };
  using Jobs = std::list<Job>;

  bool try_job(Jobs::iterator job);
  void rescue(Jobs::iterator job);
  bool search_claim(Jobs::iterator job);
  std::vector<Settled> settle(const LedgerReading& reading, Ledger& ledger);
  void defer_rescue(Job& job, const std::string& reason);
  void record(const LedgerReading& reading, std::size_t entry, Settled settled);
  bool is_orphaned(LedgerId ledger) const;
  bool has_job(LedgerId ledger) const;
  void end(Jobs::iterator job);

  const MaintenanceTools& tools_;
  Jobs jobs_;
  bool out_of_time_ = false;
};

}  // namespace pgforeman
