#pragma once
// A duty of every 1.2 s: makes due messages claimable, counts the queue into the scoreboard, and
// is the fleet's probe of the database. One statement; one more when message ids would be reused
// (Queue::advance_ids), and at the start for a queue that has nothing. Fork: after.

#include "maintenance/sweeper.h"
#include "maintenance/tools.h"

namespace pgforeman {

class Scheduler {
 public:
  Scheduler(const MaintenanceTools& tools, const Sweeper& sweeper)
      : tools_(tools), sweeper_(sweeper) {}

  /// Throws DatabaseError.
  void run_once();
  TimePoint next() const { return next_; }
  /// A message may be due before the next run: runs soon, but not more often than is cheap.
  void soon();
  /// A message will be due then.
  void due_in(Millis due);
  /// New session: consumers that reconnect are notified at the next run.
  void session_opened();  ///< throws DatabaseError

 private:
  void publish(const QueueCounts& counts);
  void advance_ids();
  void name_other_queues(const QueueCounts& counts);

  const MaintenanceTools& tools_;
  const Sweeper& sweeper_;
  TimePoint next_, ran_at_, next_count_;
  bool announced_ = false;
  bool knows_queue_ = false;  ///< it has something, or the log says which queues have
};

}  // namespace pgforeman
