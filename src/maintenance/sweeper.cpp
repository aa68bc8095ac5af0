#include "maintenance/sweeper.h"

#include <algorithm>

#include "system/log.h"

namespace pgforeman {
namespace {

constexpr Millis kEvery{50};
// While the marks stand still, but an open transaction may still commit below them.
constexpr Millis kEveryMost{1000};
// A look is two statements. With 20 ms a steady flow of 2,000 a second cost the server 6 % more.
constexpr Millis kLookSoonest{40};
// Looks that are made in any case: at the last kLast numbers, as a sequence may have a cache, and
// at all numbers.
constexpr Millis kLastEvery{10'000}, kPassEvery{600'000};
constexpr std::int64_t kLast = 100'000;
// A run looks for at most that long, and then rests for as long as it took: a long catch-up takes
// half of maintenance's time.
constexpr Millis kSlice{15};
constexpr Millis kStatement{5};
constexpr Millis kRestMost{200};
constexpr Millis kFailedRest{2000};
// The first number may be high: while a statement finds nothing, the next one covers a wider range.
// It has a limit, as thousands of millions of deleted messages may follow: a walk over four million
// takes about half a second. A walk over all numbers takes at most a thousand statements, more if
// it finds many.
constexpr std::int64_t kWidth = 50'000, kWidthLeast = 5'000, kWidthMost = 4'000'000;
constexpr std::int64_t kMostStatements = 1000;
// While more messages are refused than can be left out, others move slowly.
constexpr int kMostMoved = 1000, kMostMovedIfFull = 20;
// A look that took longer did not fail because the tables have changed.
constexpr Millis kTimeout{1000};
// A view, open_writers() with marks, costs a search in the index for each lane. It walks the
// deleted messages above the marks, as claims do: if it takes this long, there are many.
constexpr Millis kViewEvery{1000};
constexpr Millis kSlowView{5};
// More than what a clock that runs too fast or slow can gain between two looks.
constexpr std::int64_t kClockStepUs = 100'000;

}  // namespace

void Sweeper::start_over() {
  writers_.start_over();
  plan_.start_over();
  width_ = kWidth;
  wait_ = kEvery;
  next_ = next_last_ = next_view_ = TimePoint{};
  due_from_us_ = clock_us_ = viewed_number_ = 0;
}

/// A fleet that has no marks yet begins with those of the last one.
void Sweeper::load_marks() {
  LowWaterMarks& marks = tools_.queue().marks;
  if (marks.read() == Marks{}) {
    const Marks saved = tools_.session.queue().saved_marks();
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      plan_.skip(lane, saved[lane]);  // the first look's pass searches below
      marks.raise(lane, saved[lane]);
    }
  }
  loaded_ = true;
}

void Sweeper::search_all_soon() {
  next_pass_ = TimePoint{};
  next_last_ = std::min(next_last_, looked_at_ + kEveryMost);
}

void Sweeper::save_marks() {
  const Marks marks = tools_.queue().marks.read();
  if (loaded_ && marks != Marks{}) tools_.session.queue().save_marks(marks);
}

bool Sweeper::run_once() {
  if (!loaded_) load_marks();
  const TimePoint now = Clock::now();
  const Marks marks = tools_.queue().marks.read();
  if (marks != plan_.marks() && wait_ > kEvery) {
    wait_ = kEvery;
    next_ = std::min(next_, std::max(looked_at_ + kEvery, now));
  }
  if (now >= next()) {
    failing_ = true;
    try {
      look(marks, now);
    } catch (const DatabaseError& error) {
      if (width_ <= kWidthLeast) pass_over(error);
      width_ = std::max(width_ / 8, kWidthLeast);
      next_ = Clock::now() + kFailedRest;
      // The tables may be others now, restored under this session; not so after a lock or a
      // timeout.
      if (error.kind() != DatabaseError::Kind::locked && Clock::now() - now < kTimeout) {
        search_all_soon();
      }
      // Claims ignore marks that are 3 s old: one may find what this look could not move.
      tools_.wakeups.wake(1);
      throw;
    }
    failing_ = false;
  }
  // Consumers may rely on the marks only while looks work.
  if (!failing_) tools_.queue().marks.record_sweep(Clock::now());
  return !refusals_.any_without_fault();
}

TimePoint Sweeper::next() const {
  if (failing_) return next_;
  if (may_appear()) return next_;
  return std::max(next_, std::min(plan_.due(), next_last_));
}

/// True if a message may appear below a mark, or one that is due before due_from_us_, where
/// searches begin.
bool Sweeper::may_appear() const {
  const Marks marks = tools_.queue().marks.read();
  return marks != plan_.marks() ||
         writers_.may_appear(*std::max_element(marks.begin(), marks.end()), due_from_us_);
}

void Sweeper::soon() {
  next_last_ = std::min(next_last_, looked_at_ + kEveryMost);
  next_ = std::min(next_, looked_at_ + kLookSoonest);
}

void Sweeper::look(const Marks& marks, TimePoint now) {
  tools_.loop.enter(Phase::claiming);
  const bool starts = !writers_.is_complete();
  while (!writers_.is_complete()) writers_.learn(tools_.session.queue().open_writers());
  const bool views = starts || now >= next_view_;
  const TimePoint asked_at = Clock::now();
  const OpenWriters writers =
      tools_.session.queue().open_writers(views ? std::optional(marks) : std::nullopt);
  tools_.session.worked();
  looked_at_ = Clock::now();
  if (!trusts(writers, marks)) return;
  const bool moving = marks != plan_.marks();
  const WriterLog::News news = writers_.learn(writers);
  plan_.add(news, marks);
  for (const WriterLog::Base& ended : news.ended) {
    due_from_us_ = std::min(due_from_us_, ended.due_us);
  }
  check_clock(writers.at_us, now);
  if (starts || now >= next_pass_) {
    next_pass_ = now + kPassEvery;
    plan_.add_last();
    due_from_us_ = 0;
  }
  if (now >= next_last_) {
    next_last_ = now + kLastEvery;
    plan_.add_last(kLast);
  }
  if (views) {
    next_view_ = now + kViewEvery;
    raise_marks(writers, looked_at_ - asked_at >= kSlowView, starts);
  }
  refusals_.expire(now);
  for (const auto& claim : tools_.queue().refused_claims.take()) {
    refusals_.add_claim(claim.id, claim.blamed, now);
  }
  const int most_moved = refusals_.is_full() ? kMostMovedIfFull : kMostMoved;
  std::int64_t moved = 0;
  while (Clock::now() - now < kSlice) {
    const auto ranges = asked_ = plan_.next(width_, Clock::now());
    if (ranges.empty()) break;
    const TimePoint began = Clock::now();
    tools_.loop.enter(Phase::claiming);
    const Sweep found =
        tools_.session.queue().sweep(ranges, plan_.bucket_bits(), most_moved, refusals_.current());
    tools_.session.worked();
    asked_.clear();
    refusals_.add(found.refused, began);
    plan_.looked(ranges, found, Clock::now());
    adjust_width(ranges, Clock::now() - began, writers.highest);
    if (found.moved > 0) {
      log::debug("messages found below the low-water marks", {{"messages", found.moved}});
      tools_.wakeups.wake(found.moved);
      moved += found.moved;
    }
  }
  const TimePoint ended = Clock::now();
  wait_ = moving || moved > 0 ? kEvery : std::min(2 * wait_, kEveryMost);
  const bool more = plan_.due() <= ended;
  next_ = ended + std::max<Clock::duration>(std::min<Clock::duration>(ended - now, kRestMost),
                                            more ? Clock::duration{0} : wait_);
  if (refusals_.is_full()) next_ = std::max(next_, ended + kEveryMost);
}

/// The last statement failed, although it was a small one: its range is passed over until the next
/// pass, as a page there may be damaged.
void Sweeper::pass_over(const DatabaseError& error) {
  if (asked_.empty() || error.kind() == DatabaseError::Kind::locked) return;
  Sweep nothing;
  for (const PlaceRange& range : asked_) nothing.reached.push_back(range.upto);
  plan_.looked(asked_, nothing, Clock::now());
  asked_.clear();
}

/// Makes the next statement cover more numbers if this one was quick, fewer if it was slow. Beyond
/// kWidth only if this one covered so many: one that covered few shows nothing about more.
void Sweeper::adjust_width(std::span<const PlaceRange> ranges, Clock::duration took,
                           std::int64_t highest) {
  if (took > 2 * kStatement) width_ = std::max(width_ / 2, kWidthLeast);
  if (took >= kStatement / 2) return;
  std::int64_t covered = 0;
  for (const PlaceRange& range : ranges) covered += range.upto - range.above;
  const std::int64_t most = std::max(kWidthMost, highest / kMostStatements);
  width_ = std::min(most, std::max(2 * covered, std::min(2 * width_, kWidth)));
}

/// Where claims walk over deleted messages in front of the first visible one, raises the marks to
/// it: a fleet that starts behind a million deleted messages, or beside a busy fleet, walks over
/// them once. Except at the first view, never to numbers of the last second: their senders may not
/// have committed.
void Sweeper::raise_marks(const OpenWriters& writers, bool is_slow, bool starts) {
  const std::int64_t old_number = viewed_number_ > 0 ? viewed_number_ : writers.highest;
  viewed_number_ = writers.highest;
  if (!is_slow) return;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    // Each lane with a mark is one more range in each claim.
    if (!starts && writers.first[lane] == 0 && plan_.marks()[lane] == 0) continue;
    const std::int64_t before = writers.first[lane] > 0 ? writers.first[lane] - 1 : kMaxNumber;
    const std::int64_t mark = std::min(before, old_number);
    if (mark <= plan_.marks()[lane]) continue;
    plan_.skip(lane, mark);
    tools_.queue().marks.raise(lane, mark);
  }
}

void Sweeper::searched(const ServerTimes& times, TimePoint asked_at) {
  // Transactions that no view has shown may schedule messages that are due from unseen().due_us on.
  // The margin is for clocks that drift.
  const std::int64_t first = times.next_due_us.value_or(times.at_us);
  due_from_us_ =
      std::max<std::int64_t>(0, std::min(first, writers_.unseen().due_us) - 2 * kClockStepUs);
  check_clock(times.at_us, asked_at);
}

/// If the server's clock was set back, new messages may be due earlier than those that were
/// handled. The server read `at_us` between `asked_at` and now.
void Sweeper::check_clock(std::int64_t at_us, TimePoint asked_at) {
  const auto passed =
      std::chrono::duration_cast<std::chrono::microseconds>(asked_at - clock_at_).count();
  if (clock_us_ > 0 && at_us < clock_us_ + passed - kClockStepUs) {
    due_from_us_ = 0;
    writers_.forget_times();
  }
  clock_us_ = at_us;
  clock_at_ = Clock::now();
}

/// False, and starts over, if numbers were set back, so that they come again below the marks, or if
/// a mark is above all of them. No claim wrote it: the scoreboard is damaged, or the database was
/// replaced by an older copy.
bool Sweeper::trusts(const OpenWriters& writers, const Marks& marks) {
  bool sound = writers.highest >= highest_;
  if (!sound) {
    log::warn("message ids were set back, all messages are searched",
              {{"from", highest_}, {"to", writers.highest}});
    start_over();
  }
  highest_ = writers.highest;
  bool is_above = false;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    if (marks[lane] <= writers.highest) continue;
    tools_.queue().marks.forget(lane, marks[lane]);
    is_above = true;
  }
  if (is_above) {
    const bool first = tools_.fleet().should_log("marks", Clock::now());
    log::write(first ? log::Level::warn : log::Level::debug,
               "low-water mark above all messages, reset", {{"highest", writers.highest}});
    start_over();
  }
  return sound && !is_above;
}

}  // namespace pgforeman
