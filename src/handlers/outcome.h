#pragma once
// How an ended handler process becomes an Outcome, and how one that comes later gets to the
// consumer.

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "handlers/handler.h"
#include "system/child_exit.h"

namespace pgforeman {

/// A process's end before it was done with the message: an exit code counts an attempt, a signal a
/// crash, but for TERM, INT and HUP, which come from outside and count an attempt. `what` says how
/// it ended; the tail is added.
Outcome ended_outcome(std::string_view what, const ChildExit& exit, std::string_view stderr_tail);
Outcome retry_outcome(Cause cause, std::string_view what, std::string_view stderr_tail);
/// Released, as the program did not start. The log has the tail; its last line is kept.
Outcome not_started_outcome(std::string_view what, std::string_view stderr_tail);
/// Released; `cause` is none when the message was never run.
Outcome released_outcome(Cause cause, std::string_view why);
/// Adds how the process ended to a run's evidence.
void add_exit(Evidence& evidence, const ChildExit& exit);
/// "exited with code 3", "was killed by SIGSEGV".
std::string ended(const ChildExit& exit);
/// "timed out after 5s".
std::string timed_out(Millis timeout);

/// Hands outcomes over from the loop, when whatever made them has returned, and not at all once its
/// owner is gone.
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
