#pragma once
// Keeps the queue's table small. A busy queue leaves so many dead row versions that autovacuum,
// which runs once a minute, lets the table grow to many times its size. So every few seconds, and
// only after many messages, one consumer of the fleet vacuums it between two of its batches: not
// maintenance, whose session rescues and wakes. Fork: after.

#include "fleet/queue_board.h"
#include "process/child_loop.h"
#include "queue/queue.h"
#include "system/clock.h"

namespace pgforeman {

class VacuumDuty {
 public:
  VacuumDuty(VacuumBoard& board, ChildLoop& loop) : board_(board), loop_(loop) {}

  /// So many messages were settled.
  void count(std::size_t messages);
  /// Takes the turn to vacuum. True if this consumer has it; others are refused for a minute.
  [[nodiscard]] bool take(TimePoint now);
  /// After take(). Throws DatabaseError only when the session is lost.
  void run(Queue& queue);

 private:
  void rest(Clock::duration time);

  VacuumBoard& board_;
  ChildLoop& loop_;
};

}  // namespace pgforeman
