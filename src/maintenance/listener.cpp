#include "maintenance/listener.h"

#include <fcntl.h>

#include "system/fd.h"
#include "system/log.h"

namespace pgforeman {
namespace {

constexpr Millis kTestTime{2000};
constexpr Millis kTryAgain{10'000};

}  // namespace

Listener::Listener(const MaintenanceTools& tools) : tools_(tools), socket_(tools.loop.io()) {}

void Listener::open() {
  Queue& queue = tools_.session.queue();
  if (!queue.can_listen()) {  // proves: P32
    opened_ = true;
    return say_that_it_polls("the connection goes through a pooler that swaps sessions");
  }
  // Without a free descriptor the next run tries again; consumers poll meanwhile.
  UniqueFd socket(::fcntl(queue.socket(), F_DUPFD_CLOEXEC, 0));
  if (!socket) return;
  try {
    queue.listen();
  } catch (const DatabaseError& error) {
    is_locked_out_ = error.kind() == DatabaseError::Kind::locked;
    if (is_locked_out_) {
      open_at_ = Clock::now() + kTryAgain;
      const std::string why = "another session holds the advisory lock of the queue's listeners";
      tools_.duty_failed(Duty::wake, why);
      return say_that_it_polls(why);
    }
    if (error.kind() != DatabaseError::Kind::rejected) throw;  // the next run tries again
    opened_ = true;
    return say_that_it_polls(error.what());
  }
  opened_ = true;
  is_locked_out_ = false;
  socket_.assign(socket.release());
  test_until_ = Clock::now() + kTestTime;
}

Listener::Received Listener::run_once() {
  if (!opened_ && Clock::now() >= open_at_) open();
  if (!socket_.is_open()) return {};
  Received found;
  for (const auto received : tools_.session.queue().notifications()) {
    if (received == Queue::Notification::test) {
      if (!works_) log::debug("wake-ups by notification work");
      works_ = true;
      test_until_.reset();
    }
    found.later = found.later || received == Queue::Notification::later;
    if (received == Queue::Notification::now) ++found.now;
  }
  if (test_until_ && Clock::now() >= *test_until_) {
    test_until_.reset();
    say_that_it_polls("the test notification did not come");
  }
  return found;
}

void Listener::wait(const std::function<void()>& notified) {
  if (!socket_.is_open()) return;
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [notified](const boost::system::error_code& error) {
                       if (!error) notified();
                     });
}

void Listener::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
  test_until_.reset();
  opened_ = works_ = is_locked_out_ = false;
  open_at_ = {};
}

void Listener::say_that_it_polls(const std::string& why) {
  if (!logged_polling_) {
    log::info("no wake-ups by notification: idle consumers poll every POLL_INTERVAL",
              {{"reason", why}});
  }
  logged_polling_ = true;
}

}  // namespace pgforeman
