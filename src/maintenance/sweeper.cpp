#include "maintenance/sweeper.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "system/log.h"

namespace pgforeman {
namespace {

constexpr Millis kNear{50};
constexpr Millis kNearIdle{1000};  // while the marks stand still, but a sender may still commit
constexpr Millis kNearSoonest{20};
constexpr Millis kLookAnyway{10'000};
constexpr Millis kNearTime{15};
constexpr int kNearRest = 8;  // recent scans take a ninth of the time at most
// But the time of a scan on a busy machine says little of its cost, and what it finds has waited
// already.
constexpr Millis kNearRestMost{200};
// A dead entry costs 0.15 microseconds.
constexpr std::int64_t kNearSpan = 100'000, kNearSpanMost = 400'000;
constexpr std::int64_t kCountedSpan = 10'000;
constexpr std::size_t kSamples = 512;

constexpr Millis kPassEvery{1000};
constexpr Millis kPassSoonest{250};
constexpr Millis kFromStart{600'000};
constexpr Millis kSliceTime{10};
constexpr int kRest = 9;           // full scans take a tenth, or a ninth to find late commits
constexpr Millis kRestMost{1000};  // recent scans come between
constexpr Millis kFailedRest{2000};
constexpr std::int64_t kWidth = 50'000, kWidthLeast = 5'000;
// Ids may begin anywhere: where there is nothing, slices grow until they are past it.
constexpr std::int64_t kWidthMost = std::numeric_limits<std::int64_t>::max() / 4;

/// How long to leave the database alone after a scan, `times` as long as it took.
Clock::duration rest_after(Clock::duration took, int times, Millis most) {
  return std::min<Clock::duration>(times * took, most);
}

constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();

}  // namespace

void Sweeper::start_over() {
  samples_.clear();
  settled_ = floor_ = passed_ = seen_ = Marks{};
  leased_behind_ = 0;
  pass_ = Pass{};
  next_near_ = next_pass_ = look_anyway_at_ = TimePoint{};
  near_wait_ = kNear;
  near_span_ = kNearSpan;
  width_ = kWidth;
  from_start_at_.reset();
}

void Sweeper::record_life() {
  if (!from_start_at_) from_start_at_ = Clock::now() + kFromStart;
}

void Sweeper::run_once() {
  const TimePoint now = Clock::now();
  const Marks marks = tools_.queue().marks.read();
  if (marks != seen_) {
    seen_ = marks;
    record_life();
    near_wait_ = kNear;
    next_near_ = std::min(next_near_, std::max(near_soonest_, now + kNear));
  }
  if (near_needed(marks) && now >= next_near_) try_near(marks);
  if ((pass_.under_way || pass_needed(marks)) && now >= next_pass_) try_pass(marks);
  // Until both work consumers must not rely on the marks.
  if (!near_failing_ && !pass_failing_) {
    tools_.queue().marks.record_sweep(Clock::now());
  }
}

// A scan that fails rests, so that other duties have their turn, and then the other scan: it may
// work. Or a claim may, which begins at the first message once the marks are old.
void Sweeper::try_near(const Marks& marks) {
  near_failing_ = true;
  try {
    look_near(marks);
  } catch (const DatabaseError&) {
    near_span_ = kNearSpan;
    rest_near(Clock::now() + kFailedRest);
    if (pass_failing_) next_pass_ = std::max(next_pass_, Clock::now() + kFailedRest / 2);
    tools_.wakeups.wake(1);
    throw;
  }
  near_failing_ = false;
}

void Sweeper::try_pass(const Marks& marks) {
  pass_failing_ = true;
  try {
    pass(marks);
  } catch (const DatabaseError&) {
    next_pass_ = Clock::now() + kFailedRest;
    if (near_failing_) rest_near(std::max(next_near_, Clock::now() + kFailedRest / 2));
    tools_.wakeups.wake(1);
    throw;
  }
  pass_failing_ = false;
}

/// After a notification: at once, though marks and writers stand still.
void Sweeper::rest_near(TimePoint until) {
  near_soonest_ = next_near_ = look_anyway_at_ = until;
}

TimePoint Sweeper::next() const {
  TimePoint next = TimePoint::max();
  next = settled_ != seen_ ? next_near_ : std::max(next_near_, look_anyway_at_);
  if (pass_.under_way || pass_needed(seen_)) {
    next = std::min(next, next_pass_);
  } else if (from_start_at_) {
    next = std::min(next, *from_start_at_);
  }
  return next;
}

Marks Sweeper::counted() const {
  Marks counted;
  for (std::size_t i = 0; i < counted.size(); ++i) {
    counted[i] = std::max(passed_[i], seen_[i] - kCountedSpan);
  }
  return counted;
}

void Sweeper::soon() {
  record_life();
  next_near_ = std::min(next_near_, near_soonest_);
  look_anyway_at_ = next_near_;
}

bool Sweeper::near_needed(const Marks& marks) const {
  return settled_ != marks || Clock::now() >= look_anyway_at_;
}

/// True if messages may be alive below the marks: leases, and what is not settled yet. Marks that
/// moved leave some.
bool Sweeper::pass_needed(const Marks& marks) const {
  return passed_ != marks || pass_.base != marks || leased_behind_ > 0 || pass_.again ||
         (from_start_at_ && Clock::now() >= *from_start_at_);
}

void Sweeper::look_near(const Marks& marks) {
  const TimePoint began = Clock::now();
  const bool anyway = began >= look_anyway_at_;
  look_anyway_at_ = began + kLookAnyway;
  Marks after;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    after[i] = std::max(anyway ? 0 : settled_[i], marks[i] - near_span_);
  }
  Sweep found = sweep(after, marks);
  // One statement counts 10,000 messages; the first one knows which transactions were open.
  while (found.reached != marks && found.moved < kSweepMoves && Clock::now() - began < kNearTime) {
    const Sweep further = sweep(found.reached, marks);
    found.reached = further.reached;
    found.moved += further.moved;
  }
  const auto took = Clock::now() - began;
  const auto rest = rest_after(took, kNearRest, kNearRestMost);
  if (took > 2 * kNearTime) near_span_ = std::max(near_span_ / 2, kNearSpan);
  if (took < kNearTime) near_span_ = std::min(near_span_ * 2, kNearSpanMost);
  if (!trusts(found, marks)) return;
  // Of so many messages the highest were not scanned: a full scan finds what is there.
  if (found.reached == marks) record_sample(found, marks);
  if (found.moved >= kSweepMoves) {
    next_near_ = Clock::now();
    return;
  }
  near_soonest_ = Clock::now() + std::max<Clock::duration>(kNearSoonest, rest);
  next_near_ = Clock::now() + std::max<Clock::duration>(near_wait_, rest);
  near_wait_ = found.moved > 0 ? kNear : std::min(2 * near_wait_, kNearIdle);
}

/// A sender that had taken an id up to a sample's marks had a transaction number before the next
/// one (it does so right after the id; the sample itself might come in between). Once the oldest
/// transaction is younger than that, this sweep has seen all they wrote.
void Sweeper::record_sample(const Sweep& found, const Marks& marks) {
  while (samples_.size() > 1 && samples_[1].xid < found.oldest_xid) {
    settled_ = samples_[0].marks;
    samples_.pop_front();
  }
  // A transaction is open for long: coarser steps do as well.
  if (samples_.size() >= kSamples) {
    std::deque<Sample> half;
    for (std::size_t i = 0; i < samples_.size(); i += 2) half.push_back(samples_[i]);
    samples_ = std::move(half);
  }
  samples_.push_back({found.xid, marks});
}

void Sweeper::pass(const Marks& marks) {
  if (!pass_.under_way) begin_pass(marks);
  const TimePoint began = Clock::now();
  bool more = true;
  while (more && Clock::now() - began < kSliceTime) more = look_at_slice();
  const auto rest = rest_after(Clock::now() - began, beyond_near() ? kNearRest : kRest, kRestMost);
  next_pass_ = Clock::now() + rest;
  if (!more) end_pass(rest);
}

void Sweeper::begin_pass(const Marks& marks) {
  pass_ = Pass{};
  pass_.under_way = true;
  pass_.target = marks;
  pass_.base = settled_;
  pass_.lowest.fill(kNone);
  pass_.at = floor_;
  width_ = std::min(width_, kWidth);
  // What the floor relies on, that a writer takes its transaction's number right after its id, is
  // almost always true.
  if (from_start_at_ && Clock::now() >= *from_start_at_) {
    from_start_at_.reset();
    pass_.at = Marks{};
  }
}

/// False when the pass is done.
bool Sweeper::look_at_slice() {
  Marks upto;
  std::int64_t span = 0;
  for (std::size_t i = 0; i < upto.size(); ++i) {
    const auto left = std::max<std::int64_t>(0, pass_.target[i] - pass_.at[i]);
    upto[i] = pass_.at[i] + std::min(width_, left);
    span = std::max(span, upto[i] - pass_.at[i]);
  }
  if (span == 0) return false;
  // If it fails because it takes longer than the server allows, the next slice is smaller.
  const auto width = std::exchange(width_, std::max(span / 8, kWidthLeast));
  const TimePoint began = Clock::now();
  const Sweep found = sweep(pass_.at, upto);
  const auto took = Clock::now() - began;
  width_ = width;
  if (!trusts(found, pass_.target)) return false;
  if (found.moved >= kSweepMoves) return true;  // the same once more: there are others
  // The last slice of a pass may be a short one, and says nothing of longer ones.
  if (took < kSliceTime / 4 && span == width_) width_ = std::min(2 * width_, kWidthMost);
  if (took > kSliceTime) width_ = std::max(span / (took > 4 * kSliceTime ? 8 : 2), kWidthLeast);
  for (std::size_t i = 0; i < upto.size(); ++i) {
    pass_.lowest[i] = std::min(pass_.lowest[i], found.lowest[i]);
  }
  pass_.at = found.reached;
  pass_.leased += found.leased;
  pass_.again = pass_.again || found.moved < found.claimable;
  if (found.lease_end) {
    const TimePoint end = began + *found.lease_end;
    pass_.lease_end = std::min(pass_.lease_end.value_or(end), end);
  }
  return true;
}

/// True if a transaction is open for so long that recent scans do not reach as far down.
bool Sweeper::beyond_near() const {
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (settled_[i] < seen_[i] - near_span_) return true;
  }
  return false;
}

void Sweeper::end_pass(Clock::duration rest) {
  if (!pass_.under_way) return;  // it started over
  pass_.under_way = false;
  for (std::size_t i = 0; i < floor_.size(); ++i) {
    floor_[i] = std::max<std::int64_t>(0, std::min(pass_.lowest[i] - 1, pass_.base[i]));
  }
  passed_ = pass_.target;
  leased_behind_ = pass_.leased;
  const TimePoint now = Clock::now();
  TimePoint wanted = now + (pass_.again || beyond_near() ? kPassSoonest : kPassEvery);
  // A lost host's lease ends: at once. Living leases are renewed long before theirs do.
  if (pass_.lease_end) wanted = std::min(wanted, *pass_.lease_end + kNearSoonest);
  next_pass_ = std::max<TimePoint>(wanted, now + rest);
}

Sweep Sweeper::sweep(const Marks& after, const Marks& upto) {
  tools_.loop.enter(Phase::claiming);
  const Sweep found = tools_.session.queue().sweep(after, upto);
  tools_.session.worked();
  if (found.moved > 0) {
    log::debug("messages found below the low-water marks", {{"messages", found.moved}});
    tools_.wakeups.wake(found.moved);
  }
  return found;
}

/// No claim wrote a mark above all ids there ever were: the scoreboard is damaged, or the database
/// is an older one than it was.
bool Sweeper::trusts(const Sweep& found, const Marks& marks) {
  bool sound = true;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    if (marks[i] <= found.highest) continue;
    tools_.queue().marks.forget(i, marks[i]);
    sound = false;
  }
  if (!sound) {
    const bool first = tools_.fleet().should_log("marks", Clock::now());
    log::write(first ? log::Level::warn : log::Level::debug,
               "low-water mark above all messages, reset", {{"highest", found.highest}});
    start_over();
  }
  return sound;
}

}  // namespace pgforeman
