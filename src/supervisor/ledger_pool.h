#pragma once
// Assigns the scoreboard's ledgers to children, in private memory of the supervisor. Fork: before;
// the supervisor alone.

#include <deque>
#include <vector>

#include "fleet/scoreboard.h"

namespace pgforeman {

class LedgerPool {
 public:
  explicit LedgerPool(Scoreboard& scoreboard) : board_(scoreboard), used_(kLedgers, false) {}

  /// Returns a cleared ledger for a new child. If all are in use (the database is gone and children
  /// keep dying), it takes the oldest orphaned one: its leases end by the visibility timeout.
  [[nodiscard]] LedgerId take(int slot) {
    reclaim();
    for (int i = 0; i < kLedgers; ++i) {
      if (!used_[static_cast<std::size_t>(i)]) return own(LedgerId{i}, slot);
    }
    const LedgerId oldest = orphans_.front();
    orphans_.pop_front();
    return own(oldest, slot);
  }

  void give_back(LedgerId id) {
    used(id) = false;
    board_.ledger_use(id).store(LedgerUse::free);
  }

  /// True if maintenance still has orphaned ledgers to settle.
  bool any_orphans() {
    reclaim();
    return !orphans_.empty();
  }

  /// Marks the ledger of a dead child for its rescue by maintenance.
  void orphan(LedgerId id, const Death& death) {
    sign_ledger(board_.ledger(id), death);
    board_.ledger_use(id).store(LedgerUse::orphaned);
    orphans_.push_back(id);
  }

 private:
  std::vector<bool>::reference used(LedgerId id) { return used_[static_cast<std::size_t>(id)]; }
  LedgerId own(LedgerId id, int slot) {
    used(id) = true;
    clear_ledger(board_.ledger(id));
    board_.ledger(id).slot.store(slot);
    board_.ledger_use(id).store(LedgerUse::owned);
    return id;
  }
  /// Takes back the ledgers that maintenance has settled.
  void reclaim() {
    std::erase_if(orphans_, [this](LedgerId id) {
      if (board_.ledger_use(id).load() != LedgerUse::free) return false;
      used(id) = false;
      return true;
    });
  }

  Scoreboard& board_;
  std::vector<bool> used_;
  std::deque<LedgerId> orphans_;
};

}  // namespace pgforeman
