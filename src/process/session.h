#pragma once
// A child's database session over its whole life: connects, and connects again after an outage,
// with a capped, jittered backoff. An outage is logged once and spent in phase `connecting`. Fork:
// after.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fleet/phase_limits.h"
#include "process/child_loop.h"
#include "queue/connection.h"
#include "queue/queue.h"

namespace pgforeman {

class Session {
 public:
  Session(const ChildContext& context, ChildLoop& loop, std::string application_name,
          Millis retry_cap);

  bool connected() const { return queue_.has_value(); }
  /// How many calls were answered.
  std::uint64_t answers() const { return answers_; }
  /// True if a call was answered since it connected.
  bool works() const { return worked_at_.has_value(); }
  /// Tries until it is connected; false if draining began first.
  [[nodiscard]] bool connect();
  /// One try, without a wait. Leaves the phase alone.
  [[nodiscard]] bool try_connect() { return try_connect(kDatabaseWatchdog, {}); }
  /// While a handler runs calls must be answered soon.
  void set_running(bool runs);
  /// True if connected. Else tries once, as a handler runs: only the server of the last session,
  /// without a look-up of its name, and only if maintenance got an answer a moment ago.
  [[nodiscard]] bool reconnect_while_running();
  /// Only while connected.
  Queue& queue() { return *queue_; }
  Connection& connection() { return *connection_; }

  /// Call after an answered call on queue(): ends the outage, if there was one.
  void worked();
  /// Call after an error of queue(): closes the session if a new one is needed, and waits.
  void failed(const DatabaseError& error);
  /// Call after an error of queue(): closes the session after any error, and does not wait.
  void drop(const DatabaseError& error);

 private:
  void set_broken();
  void wait_before_retry();
  void report(const std::string& reason);
  void close();
  bool try_connect(Millis watchdog, const std::optional<ReachedDatabase>& only_to);
  void close_after_failure();
  void end_left_behind();

  const ChildContext& context_;
  ChildLoop& loop_;
  std::string application_name_;
  Millis retry_cap_;
  std::unique_ptr<Connection> connection_;
  std::optional<Queue> queue_;
  std::optional<TimePoint> worked_at_;  ///< the last answered call; nothing: it does not work
  std::uint64_t answers_ = 0;
  std::optional<ReachedDatabase> last_reached_;
  int failures_ = 0;
  /// Server processes of sessions that were closed after a failure: one may hang in a call.
  std::vector<int> left_behind_;
  std::optional<TimePoint> down_since_;
};

}  // namespace pgforeman
