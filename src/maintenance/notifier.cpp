#include "maintenance/notifier.h"

#include <algorithm>

namespace pgforeman {
namespace {

using Mode = NotifyThrottle::Mode;

// The least limit of a poll's count.
constexpr int kCounted = 24;

}  // namespace

void Notifier::session_opened() {
  tools_.queue().wakeups.set_calls_when_idle(false);
  let_notify();
}

void Notifier::let_notify() {
  tools_.queue().wakeups.set_maintenance_polls(false);
  throttle_.notify(Clock::now());
}

TimePoint Notifier::next() const {
  return listener_.works() ? throttle_.next_poll() : TimePoint::max();
}

void Notifier::received(std::int64_t messages) {
  if (messages == 0) return;
  const bool idle = tools_.wakeups.waiting() > 0;
  if (idle) tools_.wakeups.wake(messages);
  if (!throttle_.received(messages, idle, Clock::now())) return;
  change_lock([](Queue& queue) { queue.leave_listeners(); });
  tools_.queue().wakeups.set_maintenance_polls(true);
  throttle_.poll(Clock::now());
}

Notifier::Found Notifier::run_once() {
  if (!listener_.works()) return {};
  if (throttle_.mode() == Mode::off && tools_.wakeups.waiting() > 0) {
    tools_.queue().wakeups.set_calls_when_idle(false);
    throttle_.turn_on();
  }
  if (Clock::now() < throttle_.next_poll()) return {};
  if (throttle_.mode() == Mode::poll && no_consumer_is_idle()) {
    throttle_.turn_off();
    return {};
  }
  return poll();
}

/// A consumer that becomes idle meanwhile wakes maintenance, or is counted here.
bool Notifier::no_consumer_is_idle() {
  if (tools_.wakeups.waiting() > 0) return false;
  WakeupBoard& board = tools_.queue().wakeups;
  board.set_calls_when_idle(true);
  if (tools_.wakeups.waiting() == 0) return true;
  board.set_calls_when_idle(false);
  return false;
}

Notifier::Found Notifier::poll() {
  const TimePoint began = Clock::now();
  std::optional<std::int64_t> ready;
  Found found;
  if (const int idle = tools_.wakeups.waiting(); idle > 0) {
    tools_.loop.enter(Phase::claiming);
    const Marks marks = tools_.queue().marks.read();
    const Peek peek = tools_.session.queue().peek(marks, std::max(idle, kCounted),
                                                  sweeper_.due_from_us(), refusals_.current());
    tools_.session.worked();
    sweeper_.searched(peek.times, began);
    if (peek.ready > 0) tools_.wakeups.wake(peek.ready);
    // Ready messages do not count: idle consumers may have a reason to leave them.
    found = {marks != seen_, peek.times.next_due()};
    seen_ = marks;
    ready = peek.ready;
  }
  if (throttle_.polled(ready, found.messages, began, Clock::now())) {
    change_lock([](Queue& queue) { queue.become_listener(); });
    let_notify();
  }
  return found;
}

/// An error must close the session, which may hold the lock twice, or not at all.
template <typename Call>
void Notifier::change_lock(Call&& call) {
  try {
    call(tools_.session.queue());
  } catch (const DatabaseError& error) {
    throw DatabaseError(DatabaseError::Kind::connection, error.what());
  }
}

}  // namespace pgforeman
