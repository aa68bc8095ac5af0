#pragma once
// How many messages to claim at once. BATCH=N: N. BATCH=auto: as many as the handler gets through
// in 50 ms, by measured times. While the queue may be short, in 2 ms (at least one), so that
// messages are left for other consumers and fleets. Pure.

#include <algorithm>
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
  /// A claim for `asked` messages returned `got` after `took`: fewer mean that the queue is short,
  /// and a slow answer that they are too large for the link: the next claims ask for half as many,
  /// also if the size is fixed.
  void claimed(int asked, int got, Clock::duration took = {});
  /// A claim for `asked` messages failed, perhaps because there were too many: the next one is for
  /// one, and half of it is approached slowly.
  void claim_failed(int asked) {
    ceiling_ = std::max(1, asked / 2);
    limit_ = 1;
  }
  /// The next claim asks for one message; each one that gets all doubles that.
  void begin_with_one() { limit_ = 1; }
  /// The handler took so long for a message.
  void handled(Clock::duration took);
  /// True if a message takes less than 1 ms, about as long as a settle.
  bool are_brief() const;

  /// Auto: a consumer that has worked on a batch for this long releases the rest of it.
  static constexpr Millis kHoldFor{250};
  static constexpr int kMaxLimit = 1000;

 private:
  int fixed_;
  int ramp_ = 1;  ///< doubles with each full claim
  int limit_ = kMaxLimit;
  int ceiling_ = kMaxLimit;  ///< above it the limit grows by one
  /// Mean of the logarithm of a message's time in µs; nothing before the first message.
  std::optional<double> mean_log_;
};

}  // namespace pgforeman
