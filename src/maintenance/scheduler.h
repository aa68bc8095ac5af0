#pragma once
// The duties that make due messages claimable, and that count the queue into the scoreboard, which
// tests the database for the fleet: every 1.2 s in one statement. If that fails, promotion is tried
// alone, as it must not wait for what only counting needs (dead letters, say). One more statement
// when message ids would be reused (Queue::advance_ids), and at the start for an empty queue. Fork:
// after.

#include "maintenance/duty_rest.h"
#include "maintenance/refusals.h"
#include "maintenance/sweeper.h"
#include "maintenance/tools.h"

namespace pgforeman {

class Scheduler {
 public:
  Scheduler(const MaintenanceTools& tools, Sweeper& sweeper, Refusals& refusals)
      : tools_(tools), sweeper_(sweeper), refusals_(refusals) {}

  /// False if messages were refused and are not at fault. Throws DatabaseError if the promotion
  /// failed.
  bool run_once();
  TimePoint next() const { return next_; }
  /// Runs soon, as a message may be due before the next run, but not more often than is cheap.
  void soon();
  /// Runs in time for a message that is due in `due`, but not more often than is cheap.
  void due_in(Millis due);
  /// Call for a new session: the next run tells consumers that the database is up again.
  void session_opened();  ///< throws DatabaseError

 private:
  std::optional<Tick> try_counting();
  Tick promote();
  void leave_out_first(const std::string& reason);
  void publish(const QueueCounts& counts);
  void advance_ids();
  void name_other_queues(const QueueCounts& counts);

  const MaintenanceTools& tools_;
  Sweeper& sweeper_;
  Refusals& refusals_;  ///< of scheduled messages
  TimePoint next_, ran_at_, next_count_;
  DutyRest count_rest_;
  int most_ = 0;  ///< messages of a promotion: fewer after one that failed
  bool announced_ = false;
  bool knows_queue_ = false;  ///< name_other_queues() was called
};

}  // namespace pgforeman
