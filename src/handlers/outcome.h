#pragma once
// How an ended handler process becomes an Outcome, and how an Outcome gets to the consumer.

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/child_exit.h"
#include "handlers/handler.h"

namespace pgforeman {

/// Why a running message's process is being ended, when it is. Later ones win over earlier ones,
/// but for `shutdown`, which leaves a timeout a timeout.
enum class Ending { none, shutdown, timeout, lease_lost };

/// What exec makes of its ended process: exit code 0 is done, 65 and 100 are dead.
Outcome exec_outcome(const ChildExit& exit, Ending ending, Millis timeout, std::string result,
                     std::string_view stderr_tail);

Outcome retry_outcome(std::string_view what, std::string_view stderr_tail);
Outcome released_outcome(std::string_view why);
/// "timed out after 5s".
std::string timed_out(Millis timeout);
/// Why a message was handed back: for the log; a released message keeps no error.
std::string_view explain(Ending ending);

/// Hands outcomes over from the loop, never from within the call that made them, and not at all
/// once its owner is gone.
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
