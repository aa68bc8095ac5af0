#pragma once
// The duty that wakes idle consumers for new messages, and lets senders notify or not: see
// notify_throttle.h. Fork: after.

#include <optional>

#include "fleet/claimed_message.h"
#include "maintenance/listener.h"
#include "maintenance/notify_throttle.h"
#include "maintenance/tools.h"

namespace pgforeman {

class Notifier {
 public:
  Notifier(const MaintenanceTools& tools, const Listener& listener)
      : tools_(tools), listener_(listener) {}

  /// A new session, in which the listener listens or will.
  void session_opened();
  /// So many notifications of new messages came. Wakes consumers. Throws DatabaseError.
  void received(std::int64_t messages);

  struct Found {
    bool messages = false;      ///< fresh ones were claimed since the last poll
    std::optional<Millis> due;  ///< until the next scheduled message is
  };
  /// Polls if it is time to, and changes the mode. Throws DatabaseError.
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
  NotifyThrottle throttle_;
  Marks seen_{};
};

}  // namespace pgforeman
