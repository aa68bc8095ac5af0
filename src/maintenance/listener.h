#pragma once
// The duty that is notified of new messages: LISTENs for the whole fleet. Where notifications
// cannot work (a pooler in between), which it finds out by itself and says once, idle consumers
// poll. Fork: after.

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <optional>
#include <string>

#include "maintenance/tools.h"

namespace pgforeman {

class Listener {
 public:
  explicit Listener(const MaintenanceTools& tools);

  struct Received {
    std::int64_t now = 0;  ///< notifications of work
    bool later = false;    ///< a message was scheduled for later
  };
  /// Takes what came; begins to listen in a session where it does not yet. Throws DatabaseError.
  Received run_once();
  /// True once this session has received a notification.
  bool works() const { return works_; }
  /// When the first notification, our own, must have come.
  TimePoint next() const { return test_until_.value_or(TimePoint::max()); }

  /// Calls `notified` once when a notification may have come; cancel() before the session goes.
  void wait(const std::function<void()>& notified);
  void cancel() {
    if (socket_.is_open()) socket_.cancel();
  }
  /// The session is gone.
  void close();

 private:
  void open();
  void say_that_it_polls(const std::string& why);

  const MaintenanceTools& tools_;
  boost::asio::posix::stream_descriptor socket_;
  std::optional<TimePoint> test_until_;
  TimePoint open_at_;    ///< not before that
  bool opened_ = false;  ///< or found that there is no use
  bool works_ = false;
  bool said_ = false;
};

}  // namespace pgforeman
