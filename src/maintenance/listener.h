#pragma once
// The duty that LISTENs for new messages, for the whole fleet. Detects by itself if notifications
// cannot work (a pooler in between) and logs it once: idle consumers then poll. Fork: after.

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
  /// Takes the received notifications; in a new session begins to listen. Throws DatabaseError.
  Received run_once();
  /// True once this session has received a notification.
  bool works() const { return works_; }
  /// True while another session holds the lock that a listener needs.
  bool is_locked_out() const { return is_locked_out_; }
  /// Returns when our own test notification must have come; max: none is awaited.
  TimePoint next() const { return test_until_.value_or(TimePoint::max()); }

  /// Calls `notified` once when a notification may have come. cancel() before the session closes.
  void wait(const std::function<void()>& notified);
  void cancel() {
    if (socket_.is_open()) socket_.cancel();
  }
  /// Call when the session is gone: the next run_once() begins to listen again.
  void close();

 private:
  void open();
  void say_that_it_polls(const std::string& why);

  const MaintenanceTools& tools_;
  boost::asio::posix::stream_descriptor socket_;
  std::optional<TimePoint> test_until_;
  TimePoint open_at_;    ///< begins to listen no earlier
  bool opened_ = false;  ///< listens, or found that it cannot
  bool works_ = false;
  bool is_locked_out_ = false;
  bool logged_polling_ = false;
};

}  // namespace pgforeman
