#include "maintenance/sweeper.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "system/log.h"

namespace pgforeman {
namespace {

constexpr Millis kRecentEvery{50};
constexpr Millis kRecentIdle{1000};  // while the marks stand still, but a sender may still commit
constexpr Millis kRecentSoonest{20};
constexpr Millis kUnconditionalEvery{10'000};
constexpr Millis kRecentTime{15};
constexpr int kRecentRest = 8;  // recent scans take a ninth of the time at most
// Limits the rest after a recent scan: a busy machine makes scans long, not costly, and messages
// wait meanwhile.
constexpr Millis kRecentRestMost{200};
// A recent scan reads dead index entries too, at 0.15 microseconds each.
constexpr std::int64_t kRecentSpan = 100'000, kRecentSpanMost = 400'000;
constexpr std::int64_t kCountedSpan = 10'000;
constexpr std::size_t kSamples = 512;

constexpr Millis kFullEvery{1000};
constexpr Millis kFullSoonest{250};
constexpr Millis kFromStart{600'000};
constexpr Millis kSliceTime{10};
constexpr int kRest = 9;           // full scans take a tenth of the time, a ninth for late commits
constexpr Millis kRestMost{1000};  // recent scans run meanwhile
constexpr Millis kFailedRest{2000};
constexpr std::int64_t kSliceIds = 50'000, kSliceIdsLeast = 5'000;
// Ids may begin at any number: in an empty range slices grow until they are past it.
constexpr std::int64_t kSliceIdsMost = std::numeric_limits<std::int64_t>::max() / 4;

/// Returns how long to leave the database alone after a scan: `times` as long as it took.
Clock::duration rest_after(Clock::duration took, int times, Millis most) {
  return std::min<Clock::duration>(times * took, most);
}

constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();

}  // namespace

void Sweeper::start_over() {
  samples_.clear();
  settled_ = floor_ = fully_scanned_ = seen_ = Marks{};
  leased_below_ = 0;
  full_ = FullScan{};
  next_recent_ = next_full_ = unconditional_scan_at_ = TimePoint{};
  recent_wait_ = kRecentEvery;
  recent_span_ = kRecentSpan;
  slice_ids_ = kSliceIds;
  from_start_at_.reset();
}

void Sweeper::record_alive() {
  if (!from_start_at_) from_start_at_ = Clock::now() + kFromStart;
}

void Sweeper::run_once() {
  const TimePoint now = Clock::now();
  const Marks marks = tools_.queue().marks.read();
  if (marks != seen_) {
    seen_ = marks;
    record_alive();
    recent_wait_ = kRecentEvery;
    next_recent_ = std::min(next_recent_, std::max(recent_soonest_, now + kRecentEvery));
  }
  if (recent_needed(marks) && now >= next_recent_) try_recent(marks);
  if ((full_.under_way || full_needed(marks)) && now >= next_full_) try_full(marks);
  // Consumers may rely on the marks only while both scans work.
  if (!recent_failing_ && !full_failing_) {
    tools_.queue().marks.record_sweep(Clock::now());
  }
}

// A failed scan rests, so that other duties have their turn and then the other scan: it may work.
// Wakes a consumer: its claim may work, as it begins at the first message once the marks are old.
void Sweeper::try_recent(const Marks& marks) {
  recent_failing_ = true;
  try {
    scan_recent(marks);
  } catch (const DatabaseError&) {
    recent_span_ = kRecentSpan;
    rest_recent(Clock::now() + kFailedRest);
    if (full_failing_) next_full_ = std::max(next_full_, Clock::now() + kFailedRest / 2);
    tools_.wakeups.wake(1);
    throw;
  }
  recent_failing_ = false;
}

void Sweeper::try_full(const Marks& marks) {
  full_failing_ = true;
  try {
    full_scan(marks);
  } catch (const DatabaseError&) {
    next_full_ = Clock::now() + kFailedRest;
    if (recent_failing_) rest_recent(std::max(next_recent_, Clock::now() + kFailedRest / 2));
    tools_.wakeups.wake(1);
    throw;
  }
  full_failing_ = false;
}

/// Makes the next recent scan due at `until`, not before, even if marks and writers stand still.
void Sweeper::rest_recent(TimePoint until) {
  recent_soonest_ = next_recent_ = unconditional_scan_at_ = until;
}

TimePoint Sweeper::next() const {
  TimePoint next = TimePoint::max();
  next = settled_ != seen_ ? next_recent_ : std::max(next_recent_, unconditional_scan_at_);
  if (full_.under_way || full_needed(seen_)) {
    next = std::min(next, next_full_);
  } else if (from_start_at_) {
    next = std::min(next, *from_start_at_);
  }
  return next;
}

Marks Sweeper::count_from() const {
  Marks from;
  for (std::size_t i = 0; i < from.size(); ++i) {
    from[i] = std::max(fully_scanned_[i], seen_[i] - kCountedSpan);
  }
  return from;
}

void Sweeper::soon() {
  record_alive();
  next_recent_ = std::min(next_recent_, recent_soonest_);
  unconditional_scan_at_ = next_recent_;
}

bool Sweeper::recent_needed(const Marks& marks) const {
  return settled_ != marks || Clock::now() >= unconditional_scan_at_;
}

/// True if messages may be alive below the marks: leases, ids with open writers, or messages that
/// the marks have passed since.
bool Sweeper::full_needed(const Marks& marks) const {
  return fully_scanned_ != marks || full_.base != marks || leased_below_ > 0 || full_.again ||
         (from_start_at_ && Clock::now() >= *from_start_at_);
}

void Sweeper::scan_recent(const Marks& marks) {
  const TimePoint began = Clock::now();
  const bool anyway = began >= unconditional_scan_at_;
  unconditional_scan_at_ = began + kUnconditionalEvery;
  Marks after;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    after[i] = std::max(anyway ? 0 : settled_[i], marks[i] - recent_span_);
  }
  Sweep found = sweep(after, marks);
  // A statement reads 10,000 messages; the first one has the transaction numbers for
  // record_sample().
  while (found.reached != marks && found.moved < kSweepMoves &&
         Clock::now() - began < kRecentTime) {
    const Sweep further = sweep(found.reached, marks);
    found.reached = further.reached;
    found.moved += further.moved;
  }
  const auto took = Clock::now() - began;
  const auto rest = rest_after(took, kRecentRest, kRecentRestMost);
  if (took > 2 * kRecentTime) recent_span_ = std::max(recent_span_ / 2, kRecentSpan);
  if (took < kRecentTime) recent_span_ = std::min(recent_span_ * 2, kRecentSpanMost);
  if (!trusts(found, marks)) return;
  // Records only complete scans; ids that were not reached are left to the full scan.
  if (found.reached == marks) record_sample(found, marks);
  if (found.moved >= kSweepMoves) {
    next_recent_ = Clock::now();
    return;
  }
  recent_soonest_ = Clock::now() + std::max<Clock::duration>(kRecentSoonest, rest);
  next_recent_ = Clock::now() + std::max<Clock::duration>(recent_wait_, rest);
  recent_wait_ = found.moved > 0 ? kRecentEvery : std::min(2 * recent_wait_, kRecentIdle);
}

/// A sender of an id up to a sample's marks got a transaction number below the next sample's. (It
/// gets this right after the id; only the sample itself may come in between.) Once the oldest open
/// transaction is above that, this sweep has seen all messages of these senders.
void Sweeper::record_sample(const Sweep& found, const Marks& marks) {
  while (samples_.size() > 1 && samples_[1].xid < found.oldest_xid) {
    settled_ = samples_[0].marks;
    samples_.pop_front();
  }
  // A transaction is open for long: every second sample is enough.
  if (samples_.size() >= kSamples) {
    std::deque<Sample> half;
    for (std::size_t i = 0; i < samples_.size(); i += 2) half.push_back(samples_[i]);
    samples_ = std::move(half);
  }
  samples_.push_back({found.xid, marks});
}

void Sweeper::full_scan(const Marks& marks) {
  if (!full_.under_way) begin_full(marks);
  const TimePoint began = Clock::now();
  bool more = true;
  while (more && Clock::now() - began < kSliceTime) more = scan_slice();
  const auto rest =
      rest_after(Clock::now() - began, beyond_recent() ? kRecentRest : kRest, kRestMost);
  next_full_ = Clock::now() + rest;
  if (!more) end_full(rest);
}

void Sweeper::begin_full(const Marks& marks) {
  full_ = FullScan{};
  full_.under_way = true;
  full_.target = marks;
  full_.base = settled_;
  full_.lowest.fill(kNone);
  full_.at = floor_;
  slice_ids_ = std::min(slice_ids_, kSliceIds);
  // The floor assumes that a writer takes its transaction number right after its id, which is
  // almost always true: scans from the first id find the rest.
  if (from_start_at_ && Clock::now() >= *from_start_at_) {
    from_start_at_.reset();
    full_.at = Marks{};
  }
}

/// Scans the next slice; false when the full scan is done.
bool Sweeper::scan_slice() {
  Marks upto;
  std::int64_t span = 0;
  for (std::size_t i = 0; i < upto.size(); ++i) {
    const auto left = std::max<std::int64_t>(0, full_.target[i] - full_.at[i]);
    upto[i] = full_.at[i] + std::min(slice_ids_, left);
    span = std::max(span, upto[i] - full_.at[i]);
  }
  if (span == 0) return false;
  // If the sweep fails as it takes longer than the server allows, the next slice is smaller.
  const auto width = std::exchange(slice_ids_, std::max(span / 8, kSliceIdsLeast));
  const TimePoint began = Clock::now();
  const Sweep found = sweep(full_.at, upto);
  const auto took = Clock::now() - began;
  slice_ids_ = width;
  if (!trusts(found, full_.target)) return false;
  if (found.moved >= kSweepMoves) return true;  // scans the slice again: there may be more
  // A short last slice says nothing about longer ones.
  if (took < kSliceTime / 4 && span == slice_ids_)
    slice_ids_ = std::min(2 * slice_ids_, kSliceIdsMost);
  if (took > kSliceTime)
    slice_ids_ = std::max(span / (took > 4 * kSliceTime ? 8 : 2), kSliceIdsLeast);
  for (std::size_t i = 0; i < upto.size(); ++i) {
    full_.lowest[i] = std::min(full_.lowest[i], found.lowest[i]);
  }
  full_.at = found.reached;
  full_.leased += found.leased;
  full_.again = full_.again || found.moved < found.claimable;
  if (found.lease_end) {
    const TimePoint end = began + *found.lease_end;
    full_.lease_end = std::min(full_.lease_end.value_or(end), end);
  }
  return true;
}

/// True if a transaction has been open for so long that recent scans do not reach its ids.
bool Sweeper::beyond_recent() const {
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (settled_[i] < seen_[i] - recent_span_) return true;
  }
  return false;
}

void Sweeper::end_full(Clock::duration rest) {
  if (!full_.under_way) return;  // start_over() ended it
  full_.under_way = false;
  for (std::size_t i = 0; i < floor_.size(); ++i) {
    floor_[i] = std::max<std::int64_t>(0, std::min(full_.lowest[i] - 1, full_.base[i]));
  }
  fully_scanned_ = full_.target;
  leased_below_ = full_.leased;
  const TimePoint now = Clock::now();
  TimePoint wanted = now + (full_.again || beyond_recent() ? kFullSoonest : kFullEvery);
  // Scans when the lease of a lost host ends. Living leases are renewed long before their end.
  if (full_.lease_end) wanted = std::min(wanted, *full_.lease_end + kRecentSoonest);
  next_full_ = std::max<TimePoint>(wanted, now + rest);
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

/// False, and starts over, if a mark is above all ids there ever were. No claim wrote it: the
/// scoreboard is damaged, or the database is an older one.
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
