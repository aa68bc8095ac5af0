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
  [[nodiscard]] int take(int slot) {
    reclaim();
    for (int i = 0; i < kLedgers; ++i) {
      if (used_[static_cast<std::size_t>(i)]) continue;
      return own(i, slot);
    }
    const int oldest = orphans_.front();
    orphans_.pop_front();
    return own(oldest, slot);
  }

  void give_back(int index) {
    used_[static_cast<std::size_t>(index)] = false;
    board_.ledger_use(index).store(LedgerUse::free);
  }

  /// Whether maintenance has still something to settle.
  bool any_orphans() {
    reclaim();
    return !orphans_.empty();
  }

  void orphan(int index, const Death& death) {
    sign_ledger(board_.ledger(index), death);
    board_.ledger_use(index).store(LedgerUse::orphaned);
    orphans_.push_back(index);
  }

 private:
  int own(int index, int slot) {
    used_[static_cast<std::size_t>(index)] = true;
    clear_ledger(board_.ledger(index));
    board_.ledger(index).slot.store(slot);
    board_.ledger_use(index).store(LedgerUse::owned);
    return index;
  }
  /// Takes back what maintenance has settled.
  void reclaim() {
    std::erase_if(orphans_, [this](int index) {
      if (board_.ledger_use(index).load() != LedgerUse::free) return false;
      used_[static_cast<std::size_t>(index)] = false;
      return true;
    });
  }

  Scoreboard& board_;
  std::vector<bool> used_;
  std::deque<int> orphans_;
};

}  // namespace pgforeman
