#pragma once
// A child's database session over its whole life: connects in the background of the fleet with
// capped, jittered retry; an outage is logged once and spent in phase `connecting`, never a crash.
// Fork: after.

#include <memory>
#include <optional>
#include <string>

#include "process/child_loop.h"
#include "queue/connection.h"
#include "queue/queue.h"

namespace pgforeman {

class Session {
 public:
  Session(const ChildContext& context, ChildLoop& loop, std::string application_name,
          Millis retry_cap);

  bool connected() const { return queue_.has_value(); }
  /// A call was answered since it was connected.
  bool works() const { return worked_at_.has_value(); }
  /// Tries until it is connected; false when draining began first.
  [[nodiscard]] bool connect();
  /// One try, without a wait. Leaves the phase alone.
  [[nodiscard]] bool try_connect();
  /// Only while connected.
  Queue& queue() { return *queue_; }
  Connection& connection() { return *connection_; }

  /// A call on queue() was answered: the outage, if there was one, is over.
  void worked();
  /// A call on queue() threw: closes the session where another one is needed, and waits.
  void failed(const DatabaseError& error);
  /// The same, without the wait and whatever the error: for a caller that is busy.
  void drop(const DatabaseError& error);

 private:
  void set_broken();
  void wait_before_retry();
  void report(const std::string& reason);
  void close();

  const ChildContext& context_;
  ChildLoop& loop_;
  std::string application_name_;
  Millis retry_cap_;
  std::unique_ptr<Connection> connection_;
  std::optional<Queue> queue_;
  std::optional<TimePoint> worked_at_;  ///< nothing: it does not work
  int failures_ = 0;
  std::optional<TimePoint> down_since_;
};

}  // namespace pgforeman
