#pragma once
// Decides whether senders notify. A notification costs each sender a turn at one lock of the whole
// server, so senders notify only while it is worth that:
//
//   notify  a consumer is idle: senders notify
//   poll    a consumer is idle, but so much is sent that a poll each 2 to 6 ms costs less
//   off     no consumer is idle: notifications are not needed
//
//   notify ──8 notifications in 10 ms, or 8 while no consumer was idle──> poll
//   poll ──4 polls without a fresh message──> notify     poll ──no consumer is idle──> off
//   off ──a consumer is idle──> poll
//
// Pure.

#include <cstdint>
#include <optional>

#include "system/clock.h"

namespace pgforeman {

class NotifyThrottle {
 public:
  enum class Mode { notify, poll, off };

  /// Call when senders notify from now on: the session counts as a listener.
  void notify(TimePoint now);
  /// Call when senders no longer notify for this session.
  void poll(TimePoint now);
  /// Call when no consumer is idle; the next one that is idle causes turn_on().
  void turn_off() { mode_ = Mode::off; }
  /// Call when a consumer is idle again.
  void turn_on();

  /// Records `messages` notifications. `idle`: a consumer was idle. True: the caller must stop the
  /// notifications and call poll().
  bool received(std::int64_t messages, bool idle, TimePoint now);
  /// Records a poll from `began` to `now`. `ready`: how many messages it found; nothing: no poll
  /// was made, as no consumer is idle. `fresh`: messages were claimed since the poll before. True:
  /// no fresh messages come, so call notify().
  bool polled(std::optional<std::int64_t> ready, bool fresh, TimePoint began, TimePoint now);

  Mode mode() const { return mode_; }
  /// Returns when to poll; max: not at all.
  TimePoint next_poll() const { return mode_ == Mode::off ? TimePoint::max() : next_poll_; }

 private:
  Mode mode_ = Mode::notify;
  TimePoint next_poll_;
  Millis wait_{0};  ///< in notify: the wait before the last poll
  int quiet_ = 0;   ///< in poll: polls in a row without a fresh message
  TimePoint window_end_;
  std::int64_t in_window_ = 0;     ///< notifications until window_end_
  std::int64_t without_idle_ = 0;  ///< notifications in a row while no consumer was idle
};

}  // namespace pgforeman
