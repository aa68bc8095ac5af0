#pragma once
// Makes an Outcome of an ended handler process, and delivers outcomes to the consumer.

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "handlers/handler.h"
#include "system/child_exit.h"

namespace pgforeman {

/// Returns the outcome if a process ended before it was done with the message: retry for an exit
/// code, crash for a signal. TERM, INT and HUP come from outside, so they are a retry (an attempt).
/// `what` says how the process ended; the tail of its stderr is added.
Outcome ended_outcome(std::string_view what, const ChildExit& exit, std::string_view stderr_tail);
Outcome retry_outcome(Cause cause, std::string_view what, std::string_view stderr_tail);
/// Returns `released`, as the program did not start. The error gets only the last line of the tail,
/// because the log has the whole tail.
Outcome not_started_outcome(std::string_view what, std::string_view stderr_tail);
/// Returns `released`; `cause` is none if the message was never run.
Outcome released_outcome(Cause cause, std::string_view why);
/// Adds how the process ended to a run's evidence.
void add_exit(Evidence& evidence, const ChildExit& exit);
/// Returns for example "exited with code 3" or "was killed by SIGSEGV".
std::string ended(const ChildExit& exit);
/// Returns for example "timed out after 5s".
std::string timed_out(Millis timeout);

/// Calls `done` later from the event loop, after the current function has returned. Calls nothing
/// once this object is destroyed.
class Delivery {
 public:
  explicit Delivery(boost::asio::io_context& io) : io_(io) {}
  void deliver(Handler::Done done, Outcome outcome) {
    boost::asio::post(io_, [weak = std::weak_ptr(alive_), done = std::move(done),
                            outcome = std::move(outcome)]() mutable {
      if (!weak.expired()) done(std::move(outcome));
    });
  }

 private:
  boost::asio::io_context& io_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace pgforeman
