#include "consumer/batch_size.h"

#include <algorithm>
#include <cmath>

namespace pgforeman {
namespace {

// Work that one claim takes: it amortizes a round trip of less than a millisecond. A batch that
// takes longer would keep its last messages from idle consumers.
constexpr double kWorthUs = 50'000;
// Work that a claim takes while the queue is short: brief messages share a transaction, which costs
// the server about 100 us for one as for many. A message waits at most 2 ms for others.
constexpr double kShortUs = 2'000;
constexpr double kMostWhenShort = 32;
// Above some hundreds the cost grows with the rows: a larger claim saves nothing, and takes
// messages from other consumers.
constexpr int kMost = 250;
// A claim's answer that takes longer is slow: the next claims are smaller.
constexpr Millis kSlowAnswer{5000};
constexpr double kBriefLog = 6.908;  // of 1,000 us
// The weight of the latest message in the geometric mean: one slow message counts at once, and is
// forgotten after some tens of messages. The mean is geometric because with many processes on few
// processors some messages wait long for a processor. An arithmetic mean follows those and makes
// batches smaller, which makes more processes busy: in one of 15 runs (64 children on 2 processors,
// 8,000 messages a second) the fleet stayed in this state, with a p50 of 860 ms instead of 6.4 ms.
constexpr double kWeight = 0.2;

}  // namespace

int BatchSize::next() const {
  if (!is_auto()) return std::min(fixed_, limit_);
  if (!mean_log_) return 1;
  // A little less, so that 50 ms / 1 ms is not rounded down to 49 messages.
  const double mean_us = std::exp(*mean_log_) * (1 - 1e-9);
  const auto worth = static_cast<int>(std::clamp(kWorthUs / mean_us, 1.0, double{kMost}));
  const auto at_least = static_cast<int>(std::clamp(kShortUs / mean_us, 1.0, kMostWhenShort));
  return std::min({std::max(ramp_, at_least), worth, limit_});
}

void BatchSize::claimed(int asked, int got, Clock::duration took) {
  if (took > kSlowAnswer) {
    limit_ = ceiling_ = std::max(1, got / 2);
  } else if (got >= asked && 2 * limit_ <= ceiling_) {
    limit_ *= 2;
  } else if (got >= asked) {
    limit_ = ceiling_ = std::min(ceiling_ + 1, kMaxLimit);
  }
  if (!is_auto()) return;
  ramp_ = got < asked ? 1 : std::min(kMost, std::max(ramp_, asked) * 2);
}

bool BatchSize::are_brief() const {
  return mean_log_ && *mean_log_ < kBriefLog;
}

void BatchSize::handled(Clock::duration took) {
  const double us = std::max(
      1.0, std::chrono::duration<double, std::micro>(std::max(took, Clock::duration{0})).count());
  const double now = std::log(us);
  mean_log_ = mean_log_ ? *mean_log_ + kWeight * (now - *mean_log_) : now;
}

}  // namespace pgforeman
