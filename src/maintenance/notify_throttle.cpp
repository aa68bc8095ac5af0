#include "maintenance/notify_throttle.h"

#include <algorithm>

namespace pgforeman {
namespace {

constexpr Millis kLook{2};
constexpr int kQuietLooks = 4;
// Looks take a fifth of the time at most.
constexpr int kLookRest = 4;
// A look for this many messages at least: fewer looks for more each leave the processors to
// senders. At 8,000 a second, 8 children: with 24 half of the messages start within 6.9 ms, with 12
// within 4.2, with 6 within 3.5 and for a third more CPU.
constexpr std::int64_t kPlenty = 9;
// A sender may have found the listeners' lock free before it was taken, and commit after, without a
// notification. Looks after 2, 4, 8 ... ms catch it; from a second on maintenance's own tick does.
constexpr Millis kLookMost{1000};
// From so many notifications in so long on, looks cost less.
constexpr Millis kWindow{10};
constexpr std::int64_t kMany = 8;

}  // namespace

void NotifyThrottle::notify(TimePoint now) {
  mode_ = Mode::notify;
  next_look_ = now;
  wait_ = Millis{0};
  in_window_ = unheeded_ = 0;
}

void NotifyThrottle::poll(TimePoint now) {
  mode_ = Mode::poll;
  next_look_ = now + kLook;
  wait_ = Millis{0};
  quiet_ = 0;
}

void NotifyThrottle::turn_on() {
  mode_ = Mode::poll;
  quiet_ = 0;
}

bool NotifyThrottle::heard(std::int64_t messages, bool idle, TimePoint now) {
  if (messages == 0 || mode_ != Mode::notify) return false;
  unheeded_ = idle ? 0 : unheeded_ + messages;
  if (!idle) {
    // A consumer may have looked just before, and be about to wait.
    next_look_ = std::min<TimePoint>(next_look_, now + kLook);
    wait_ = kLook;
  }
  if (now >= window_end_) {
    window_end_ = now + kWindow;
    in_window_ = 0;
  }
  in_window_ += messages;
  return in_window_ >= kMany || unheeded_ >= kMany;
}

bool NotifyThrottle::looked(std::optional<std::int64_t> ready, bool fresh, TimePoint began,
                            TimePoint now) {
  next_look_ = began + std::max(kLook, 2 * wait_);
  if (ready) {
    if (mode_ == Mode::poll) {
      next_look_ = began + kLook * std::clamp<std::int64_t>(*ready / 3, 1, kPlenty / 3);
    }
    // Where a snapshot is held a look may take long.
    next_look_ = std::max(next_look_, now + kLookRest * (now - began));
  }
  if (mode_ == Mode::poll) {
    quiet_ = fresh ? 0 : quiet_ + 1;
    return quiet_ >= kQuietLooks;
  }
  wait_ = std::max(kLook, 2 * wait_);
  if (wait_ > kLookMost) next_look_ = TimePoint::max();
  return false;
}

}  // namespace pgforeman
