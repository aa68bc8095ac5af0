#include "maintenance/look_plan.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace pgforeman {
namespace {

// A look at so many numbers takes some milliseconds. In a longer range both ends come first: a
// transaction mostly sends at its beginning or its end.
constexpr std::int64_t kUrgent = 50'000;
// How soon a bucket is looked at again at the earliest, and at the latest.
constexpr Millis kBucketSoonest{20}, kBucketLatest{1000};

}  // namespace

void LookPlan::add(const WriterLog::News& writers, const Marks& marks) {
  const Marks before = std::exchange(marks_, marks);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    add(lane, std::min(before[lane], writers.first_seen.number));
    for (const WriterLog::Base& ended : writers.ended) add(lane, ended.number);
  }
}

void LookPlan::add_last(std::optional<std::int64_t> numbers) {
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    add(lane, numbers ? std::max<std::int64_t>(0, marks_[lane] - *numbers) : 0);
  }
}

/// Adds the numbers from `above` (excluded) to the lane's mark.
void LookPlan::add(std::size_t lane, std::int64_t above) {
  const std::int64_t mark = marks_[lane];
  if (above >= mark) return;
  const auto range = [&](std::int64_t from, std::int64_t upto) {
    return whole_buckets(place_of(lane, from + 1), place_of(lane, upto));
  };
  if (mark - above <= 2 * kUrgent) return urgent_.add(range(above, mark));
  urgent_.add(range(above, above + kUrgent));
  urgent_.add(range(mark - kUrgent, mark));
  rest_.add(range(above + kUrgent, mark - kUrgent));
}

/// Returns the whole buckets from `first` to `last` of one lane, cut at its mark.
PlaceRange LookPlan::whole_buckets(std::int64_t first, std::int64_t last) const {
  const std::size_t lane = lane_of(first);
  return {(first >> bits_ << bits_) - 1,
          std::min(((last >> bits_) + 1) << bits_, place_of(lane, marks_[lane]) + 1) - 1};
}

void LookPlan::skip(std::size_t lane, std::int64_t number) {
  marks_[lane] = std::max(marks_[lane], number);
}

std::vector<PlaceRange> LookPlan::next(std::int64_t most, TimePoint now) {
  for (const auto& [number, bucket] : buckets_) {
    if (bucket.due > now) continue;
    urgent_.add(whole_buckets(number << bits_, number << bits_));
  }
  const std::int64_t whole = std::max(most >> bits_, std::int64_t{1}) << bits_;
  return urgent_.empty() ? rest_.lowest(whole) : urgent_.lowest(whole);
}

void LookPlan::looked(std::span<const PlaceRange> ranges, const Sweep& found, TimePoint now) {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    PlaceRange done = ranges[i];
    // The scan ended early: the bucket where it stopped is looked at again.
    if (found.reached.at(i) < done.upto) {
      done.upto = std::max((found.reached[i] >> bits_ << bits_) - 1, done.above + 1);
    }
    urgent_.remove(done);
    rest_.remove(done);
    buckets_.erase(buckets_.lower_bound((done.above + 1) >> bits_),
                   buckets_.upper_bound(done.upto >> bits_));
  }
  for (const Sweep::Bucket& bucket : found.buckets) {
    buckets_[bucket.number] = {bucket.leased,
                               now + std::clamp(bucket.look_in, kBucketSoonest, kBucketLatest)};
  }
}

TimePoint LookPlan::due() const {
  if (!urgent_.empty() || !rest_.empty()) return TimePoint::min();
  TimePoint due = TimePoint::max();
  for (const auto& [number, bucket] : buckets_) due = std::min(due, bucket.due);
  return due;
}

std::int64_t LookPlan::leased() const {
  return std::accumulate(
      buckets_.begin(), buckets_.end(), std::int64_t{0},
      [](std::int64_t sum, const auto& bucket) { return sum + bucket.second.leased; });
}

void LookPlan::start_over() {
  marks_ = {};
  urgent_.clear();
  rest_.clear();
  buckets_.clear();
}

}  // namespace pgforeman
