#pragma once
// The duty that wakes idle consumers for new messages, and decides whether senders notify: see
// notify_throttle.h. Fork: after.

#include <optional>

#include "fleet/claimed_message.h"
#include "maintenance/listener.h"
#include "maintenance/notify_throttle.h"
#include "maintenance/refusals.h"
#include "maintenance/sweeper.h"
#include "maintenance/tools.h"

namespace pgforeman {

class Notifier {
 public:
  /// `refusals`: of scheduled messages.
  Notifier(const MaintenanceTools& tools, const Listener& listener, Sweeper& sweeper,
           const Refusals& refusals)
      : tools_(tools), listener_(listener), sweeper_(sweeper), refusals_(refusals) {}

  /// Call for a new session, in which the listener listens or will.
  void session_opened();
  /// Handles this number of notifications of new messages: wakes consumers. Throws DatabaseError.
  void received(std::int64_t messages);

  struct Found {
    bool messages = false;      ///< messages were claimed since the last poll
    std::optional<Millis> due;  ///< until the next scheduled message is due
  };
  /// Polls if a poll is due, and changes the mode if needed. Throws DatabaseError.
  Found run_once();
  TimePoint next() const;

 private:
  template <typename Call>
  void change_lock(Call&& call);
  void let_notify();
  bool no_consumer_is_idle();
  Found poll();

  const MaintenanceTools& tools_;
  const Listener& listener_;
  Sweeper& sweeper_;
  const Refusals& refusals_;
  NotifyThrottle throttle_;
  Marks seen_{};
};

}  // namespace pgforeman
