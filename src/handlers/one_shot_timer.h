#pragma once
// A timer that calls back once, and never after cancel() or destruction. An asio timer may still
// call back after cancel() if it had already expired. Single-threaded.

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <utility>

#include "system/clock.h"

namespace pgforeman {

class OneShotTimer {
 public:
  explicit OneShotTimer(boost::asio::io_context& io) : timer_(io) {}
  ~OneShotTimer() { cancel(); }
  OneShotTimer(const OneShotTimer&) = delete;
  OneShotTimer& operator=(const OneShotTimer&) = delete;

  /// Calls `action` after `delay`; cancels an earlier start().
  void start(Millis delay, std::function<void()> action) {
    cancel();
    armed_ = std::make_shared<std::function<void()>>(std::move(action));
    timer_.expires_after(delay);
    timer_.async_wait([weak = std::weak_ptr(armed_)](const boost::system::error_code& error) {
      // Keeps the action alive: it may start this timer again or destroy it.
      const auto armed = weak.lock();
      if (!error && armed) (*armed)();
    });
  }

  void cancel() {
    armed_.reset();
    timer_.cancel();
  }

  /// Returns the time of the callback; meaningful after start().
  TimePoint expiry() const { return timer_.expiry(); }

 private:
  boost::asio::steady_timer timer_;
  std::shared_ptr<std::function<void()>> armed_;
};

}  // namespace pgforeman
