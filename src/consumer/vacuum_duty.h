#pragma once
// Keeps the queue's table small. A busy queue leaves many dead row versions: autovacuum, which runs
// once a minute, lets the table grow to many times its size. So every few seconds, and only after
// many messages, one consumer of the fleet vacuums it between two batches. Maintenance does not, as
// rescues and wake-ups would wait. Fork: after.

#include "fleet/queue_board.h"
#include "process/child_loop.h"
#include "queue/queue.h"
#include "system/clock.h"

namespace pgforeman {

class VacuumDuty {
 public:
  VacuumDuty(VacuumBoard& board, ChildLoop& loop) : board_(board), loop_(loop) {}

  /// Counts settled messages.
  void count(std::size_t messages);
  /// True if this consumer is to vacuum now; the others get false until this one has called run().
  [[nodiscard]] bool take(TimePoint now);
  /// Vacuums. Call after take(). Throws DatabaseError only if the session is lost.
  void run(Queue& queue);

 private:
  void rest(Clock::duration time);

  VacuumBoard& board_;
  ChildLoop& loop_;
};

}  // namespace pgforeman
