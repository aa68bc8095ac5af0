#pragma once
// The duty that every 1.2 s makes due messages claimable, counts the queue into the scoreboard, and
// tests the database for the fleet. One statement; one more when message ids would be reused
// (Queue::advance_ids), and at the start for an empty queue. Fork: after.

#include "maintenance/sweeper.h"
#include "maintenance/tools.h"

namespace pgforeman {

class Scheduler {
 public:
  Scheduler(const MaintenanceTools& tools, Sweeper& sweeper)
      : tools_(tools), sweeper_(sweeper) {}

  /// Throws DatabaseError.
  void run_once();
  TimePoint next() const { return next_; }
  /// Runs soon, as a message may be due before the next run, but not more often than is cheap.
  void soon();
  /// Runs in time for a message that is due in `due`, but not more often than is cheap.
  void due_in(Millis due);
  /// Call for a new session: the next run tells consumers that the database is up again.
  void session_opened();  ///< throws DatabaseError

 private:
  void publish(const QueueCounts& counts);
  void advance_ids();
  void name_other_queues(const QueueCounts& counts);

  const MaintenanceTools& tools_;
  Sweeper& sweeper_;
  TimePoint next_, ran_at_, next_count_;
  bool announced_ = false;
  bool knows_queue_ = false;  ///< name_other_queues() was called
};

}  // namespace pgforeman
