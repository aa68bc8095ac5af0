#include "maintenance/gate.h"

#include <algorithm>

#include "scoreboard/marks.h"

namespace pgforeman {
namespace {

constexpr Millis kLook{2};
constexpr int kQuietLooks = 4;
constexpr int kPlenty = 24;
constexpr int kLookRest = 4;  // looks take a fifth of the time at most
// Who checked the gate while it was closed may commit after it was opened, and notify nobody: until
// the next tick would do it as well, look ever more rarely.
constexpr Millis kLookMost{1000};
// From so many notifications in so long on, looks cost less.
constexpr Millis kWindow{10};
constexpr std::int64_t kMany = 8;

}  // namespace

void Gate::session_opened() {
  tools_.context.scoreboard->fleet().resting.store(0);
  start_listening();
}

void Gate::start_listening() {
  tools_.context.scoreboard->fleet().looking.store(0);
  mode_ = Mode::listening;
  next_look_ = Clock::now();
  wait_ = Millis{0};
  in_window_ = in_vain_ = 0;
}

TimePoint Gate::next() const {
  return mode_ == Mode::resting || !listener_.works() ? TimePoint::max() : next_look_;
}

void Gate::heard(std::int64_t messages) {
  if (messages == 0) return;
  const bool idle = tools_.waker.waiting() > 0;
  if (idle) tools_.waker.wake_for(messages);
  if (mode_ != Mode::listening) return;
  const TimePoint now = Clock::now();
  in_vain_ = idle ? 0 : in_vain_ + messages;
  if (!idle) {
    // Maybe somebody looked just before and is about to wait.
    next_look_ = std::min<TimePoint>(next_look_, now + kLook);
    wait_ = kLook;
  }
  if (now >= window_end_) {
    window_end_ = now + kWindow;
    in_window_ = 0;
  }
  in_window_ += messages;
  if (in_window_ >= kMany || in_vain_ >= kMany) stop_listening();
}

Gate::Found Gate::run_once() {
  if (!listener_.works()) return {};
  if (mode_ == Mode::resting && tools_.waker.waiting() > 0) {
    tools_.context.scoreboard->fleet().resting.store(0);
    mode_ = Mode::looking;
    quiet_ = 0;
  }
  if (mode_ == Mode::resting || Clock::now() < next_look_) return {};
  if (mode_ == Mode::looking && rests()) return {};
  const Found found = look();
  if (mode_ == Mode::looking) {
    quiet_ = found.messages ? 0 : quiet_ + 1;
    if (quiet_ >= kQuietLooks) listen();
  } else {
    wait_ = std::max(kLook, 2 * wait_);
    if (wait_ > kLookMost) next_look_ = TimePoint::max();
  }
  return found;
}

/// Who becomes idle while this is being decided calls, or is seen here.
bool Gate::rests() {
  if (tools_.waker.waiting() > 0) return false;
  auto& resting = tools_.context.scoreboard->fleet().resting;
  resting.store(1);
  if (tools_.waker.waiting() > 0) {
    resting.store(0);
    return false;
  }
  mode_ = Mode::resting;
  return true;
}

Gate::Found Gate::look() {
  const TimePoint began = Clock::now();
  next_look_ = began + std::max(kLook, 2 * wait_);
  const int idle = tools_.waker.waiting();
  if (idle == 0) return {};
  tools_.loop.enter(Phase::claiming);
  const Marks marks = read_marks(tools_.context.scoreboard->fleet());
  const Look look = tools_.session.queue().look(marks, std::max(idle, kPlenty));
  tools_.session.worked();
  if (look.ready > 0) tools_.waker.wake_for(look.ready);
  // Not what is ready: idle consumers may have a reason to leave it.
  const Found found{marks != seen_, look.next_due};
  seen_ = marks;
  // Where much comes, fewer looks for more each leave the machine to those who send.
  if (mode_ == Mode::looking)
    next_look_ = began + kLook * std::clamp<std::int64_t>(look.ready / 3, 1, kPlenty / 3);
  // Behind a snapshot that somebody holds a look may take long.
  const TimePoint now = Clock::now();
  next_look_ = std::max(next_look_, now + kLookRest * (now - began));
  return found;
}

/// A session that may hold the lock twice, or not know whether it does, is of no use.
template <typename Call>
void Gate::change_lock(Call&& call) {
  try {
    call(tools_.session.queue());
  } catch (const DatabaseError& error) {
    throw DatabaseError(DatabaseError::Kind::connection, error.what());
  }
}

void Gate::listen() {
  change_lock([](Queue& queue) { queue.become_listener(); });
  start_listening();
}

void Gate::stop_listening() {
  change_lock([](Queue& queue) { queue.leave_listeners(); });
  tools_.context.scoreboard->fleet().looking.store(1);
  mode_ = Mode::looking;
  next_look_ = Clock::now() + kLook;
  wait_ = Millis{0};
  quiet_ = 0;
}

}  // namespace pgforeman
