#include "consumer/batch_size.h"

#include <algorithm>
#include <cmath>

namespace pgforeman {
namespace {

// Work for so long amortizes a claim's round trip of less than a millisecond, and is soon enough
// for messages at the end of the queue.
constexpr double kWorthUs = 50'000;
// While the queue is short: work for so long, so that brief messages share a transaction, which
// costs the server about 100 us however many they are. A message waits that long at most for a
// sibling.
constexpr double kShortUs = 2'000;
constexpr double kMostWhenShort = 32;
// Beyond some hundreds a claim costs by the row, and siblings find the less.
constexpr int kMost = 250;
constexpr double kBriefLog = 6.908;  // of 1,000 us
// The weight of the latest message in the geometric mean: one slow message is noticed at once, and
// forgotten after some tens. Where many processes share few processors most messages are over in
// their usual time, and some wait long for a processor: an arithmetic mean follows those, makes
// batches smaller, and more processes work for less. With 64 children on 2 processors it fell into
// that state in one of 15 runs at 8,000 messages a second (p50 6.4 ms, then 860 ms), and stayed.
constexpr double kWeight = 0.2;

}  // namespace

int BatchSize::next() const {
  if (!is_auto()) return fixed_;
  if (!mean_log_) return 1;
  const double mean_us = std::exp(*mean_log_) * (1 - 1e-9);  // so that rounding makes 50 no 49
  const auto worth = static_cast<int>(std::clamp(kWorthUs / mean_us, 1.0, double{kMost}));
  const auto at_least = static_cast<int>(std::clamp(kShortUs / mean_us, 1.0, kMostWhenShort));
  return std::min(std::max(ramp_, at_least), worth);
}

void BatchSize::claimed(int asked, int got) {
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
