#pragma once
// The duty that decides how the fleet hears of new messages. A notification costs every sender a
// turn at one lock of the whole server, so they are asked for only while they are worth it:
//   listening  somebody is idle: senders notify
//   looking    somebody is idle, but so much comes that a look each 2 ms costs less
//   resting    nobody is idle, so nobody needs to hear; who becomes idle calls
// Fork: after.

#include <optional>

#include "maintenance/listener.h"
#include "maintenance/tools.h"
#include "pgforeman/message.h"

namespace pgforeman {

class Gate {
 public:
  Gate(const MaintenanceTools& tools, const Listener& listener)
      : tools_(tools), listener_(listener) {}

  /// A new session, in which the listener listens or will.
  void session_opened();
  /// So many notifications of new messages came. Wakes consumers. Throws DatabaseError.
  void heard(std::int64_t messages);

  struct Found {
    bool messages = false;      ///< fresh ones were claimed since the last look
    std::optional<Millis> due;  ///< until the next scheduled message is
  };
  /// Looks if it is time to, and changes over. Throws DatabaseError.
  Found run_once();
  TimePoint next() const;

 private:
  enum class Mode { listening, looking, resting };

  template <typename Call>
  void change_lock(Call&& call);
  void listen();
  void start_listening();
  void stop_listening();
  bool rests();
  Found look();

  const MaintenanceTools& tools_;
  const Listener& listener_;
  Mode mode_ = Mode::listening;
  TimePoint next_look_;
  Millis wait_{0};  ///< listening: between the last two looks
  int quiet_ = 0;   ///< looking: looks in a row between which nothing fresh was claimed
  Marks seen_{};
  TimePoint window_end_;
  std::int64_t in_window_ = 0;  ///< notifications
  std::int64_t in_vain_ = 0;    ///< notifications in a row that found nobody idle
};

}  // namespace pgforeman
