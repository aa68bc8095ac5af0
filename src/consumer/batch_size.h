#pragma once
// How many messages to claim at once. BATCH=N: N. BATCH=auto: what the handler gets through in some
// tens of milliseconds, as measured. Where the queue may be short, what takes 2 ms at most (one
// message, if it takes longer), so that siblings and other fleets are not left without work. Pure.

#include <optional>

#include "system/clock.h"

namespace pgforeman {

class BatchSize {
 public:
  /// `fixed`: always so many; 0: auto.
  explicit BatchSize(int fixed) : fixed_(fixed) {}

  bool is_auto() const { return fixed_ == 0; }
  /// For the next claim.
  int next() const;
  /// A claim of `asked`, of next() at most, got so many: fewer mean that the queue is short.
  void claimed(int asked, int got);
  /// A message took the handler so long.
  void handled(Clock::duration took);
  /// True if a message takes less than 1 ms, about as long as a settle.
  bool are_brief() const;

  /// Auto: a consumer that has worked on a batch for so long gives the rest of it to others.
  static constexpr Millis kHoldFor{250};

 private:
  int fixed_;
  int ramp_ = 1;  ///< doubles with each full claim
  /// Of a message's time in µs, the mean of its logarithm; nothing before the first message.
  std::optional<double> mean_log_;
};

}  // namespace pgforeman
