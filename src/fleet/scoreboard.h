#pragma once
// The fleet's shared memory: made before the first fork, inherited by every child, never resized.
// Untouched pages cost nothing, so it is laid out for the largest fleet from the start.

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "fleet/handler_board.h"
#include "fleet/ledger.h"
#include "fleet/queue_board.h"
#include "fleet/slot.h"
#include "system/clock.h"

namespace pgforeman {

inline constexpr int kMaxConsumers = 1024;
inline constexpr int kMaintenanceSlot = kMaxConsumers;
inline constexpr int kSlots = kMaxConsumers + 1;
/// As /status and the log show it: maintenance has no place among the consumers.
constexpr int shown_slot(int slot) {
  return slot == kMaintenanceSlot ? -1 : slot;
}
/// One a consumer, and as many again for the dead ones that wait for their rescue.
inline constexpr int kLedgers = 2 * kMaxConsumers;

/// One a fleet. Written by children, except `ends_at_ms` (supervisor).
struct alignas(64) FleetBoard {
  std::atomic<std::uint64_t> database_up;    ///< grows each time maintenance got a session
  std::atomic<std::int64_t> answered_at_ms;  ///< when maintenance last got an answer; monotonic
  std::atomic<std::int64_t> ends_at_ms;  ///< the fleet stops, and its grace ends then; 0: it works
  /// Reasons of an outage that are in the log, and since when: half a hash, monotonic seconds.
  std::array<std::atomic<std::uint64_t>, 64> logged;
  std::atomic<std::uint32_t> reached;     ///< 1: the log has the database that sessions reached
  std::atomic<std::uint32_t> first_done;  ///< 1: the log has the first message that was done
  /// Failed runs by Cause, of all children since the fleet began.
  std::array<std::atomic<std::uint64_t>, kCauseCount> causes;

  bool is_stopping() const { return ends_at_ms.load() != 0; }
  void count(Cause cause) {
    if (cause == Cause::none) return;
    causes[static_cast<std::size_t>(cause)].fetch_add(1, std::memory_order_relaxed);
  }
  /// Whether no process has logged this reason for a minute; then it counts as logged: a whole
  /// fleet loses its database in one instant. Garbage here: a line too many, or a minute late.
  /// Fork: after.
  bool should_log(std::string_view reason, TimePoint now);
};

class Scoreboard {
 public:
  /// Throws std::bad_alloc when the memory cannot be mapped.
  Scoreboard();
  ~Scoreboard();
  Scoreboard(const Scoreboard&) = delete;
  Scoreboard& operator=(const Scoreboard&) = delete;

  Slot& slot(int index) { return memory_->slots[static_cast<std::size_t>(index)]; }
  Ledger& ledger(LedgerId id) { return memory_->ledgers[static_cast<std::size_t>(id)]; }
  /// Apart from the ledgers, so that a search for orphans touches two pages, not thousands.
  std::atomic<LedgerUse>& ledger_use(LedgerId id) {
    return memory_->ledger_use[static_cast<std::size_t>(id)];
  }
  FleetBoard& fleet() { return memory_->fleet; }
  QueueBoard& queue() { return memory_->queue; }
  HandlerBoard& handler() { return memory_->handler; }

 private:
  struct Memory {
    FleetBoard fleet;
    QueueBoard queue;
    HandlerBoard handler;
    std::array<std::atomic<LedgerUse>, kLedgers> ledger_use;
    std::array<Slot, kSlots> slots;
    std::array<Ledger, kLedgers> ledgers;
  };
  Memory* memory_;
};

}  // namespace pgforeman
