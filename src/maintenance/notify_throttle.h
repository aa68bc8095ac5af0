#pragma once
// Decides whether senders notify. A notification costs each sender a turn at one lock of the whole
// server, so senders notify only while that is worth it:
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

  /// Senders notify from now on: the session counts as a listener.
  void notify(TimePoint now);
  /// They do not any more.
  void poll(TimePoint now);
  /// No consumer is idle; the next one that is calls.
  void turn_off() { mode_ = Mode::off; }
  /// A consumer is idle again.
  void turn_on();

  /// So many notifications came. `idle`: a consumer was. True: stop them, and poll().
  bool received(std::int64_t messages, bool idle, TimePoint now);
  /// A poll began at `began` and is over at `now`. `ready`: how many messages it found; nothing: it
  /// was not made, as no consumer is idle. `fresh`: messages were claimed since the poll before.
  /// True: it is quiet, notify().
  bool polled(std::optional<std::int64_t> ready, bool fresh, TimePoint began, TimePoint now);

  Mode mode() const { return mode_; }
  /// When to poll; max: not at all.
  TimePoint next_poll() const { return mode_ == Mode::off ? TimePoint::max() : next_poll_; }

 private:
  Mode mode_ = Mode::notify;
  TimePoint next_poll_;
  Millis wait_{0};  ///< notify: before the last poll
  int quiet_ = 0;   ///< poll: polls in a row without a fresh message
  TimePoint window_end_;
  std::int64_t in_window_ = 0;  ///< notifications
  std::int64_t unheeded_ = 0;   ///< notifications in a row while no consumer was idle
};

}  // namespace pgforeman
