#pragma once
// How an idle consumer waits: for a wake-up, for its own poll, or for a settle that is due.
// Fork: after.

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>

#include "consumer/tools.h"

namespace pgforeman {

class Idle {
 public:
  explicit Idle(const ConsumerTools& tools);

  /// Waits until it is time for a claim, `due` passes, a drain begins, or `stop` returns true.
  /// `can_claim` false: takes no wake-up. `look` is called at least every 2 s.
  void wait(bool can_claim, TimePoint due, const std::function<bool()>& stop,
            const std::function<void(TimePoint now)>& look);
  /// True if the last wait ended by a wake-up or a poll for the whole fleet, and no claim followed.
  bool is_woken() const { return woken_; }
  /// Call after a claim.
  void claim_followed() { woken_ = false; }
  /// If is_woken(): wakes another idle consumer, and is_woken() becomes false.
  void pass_on_wakeup();

 private:
  TimePoint next_poll(TimePoint since, TimePoint now, double jitter) const;

  const ConsumerTools& tools_;
  boost::asio::posix::stream_descriptor wakeup_fd_;
  bool woken_ = false;
};

}  // namespace pgforeman
