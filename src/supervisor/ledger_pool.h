#pragma once
// Which ledger belongs to which child: the supervisor's private book over the scoreboard's ledgers.
// Fork: before; the supervisor alone.

#include <deque>
#include <vector>

#include "fleet/scoreboard.h"

namespace pgforeman {

class LedgerPool {
 public:
  explicit LedgerPool(Scoreboard& scoreboard) : board_(scoreboard), used_(kLedgers, false) {}

  /// A cleared ledger for a new child. When all are taken (the database is gone and children keep
  /// dying) the oldest orphan is given up: its leases end by the visibility timeout.
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

  /// Whether maintenance has still something to settle.
  bool any_orphans() {
    reclaim();
    return !orphans_.empty();
  }

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
  /// Takes back what maintenance has settled.
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
