#include "maintenance/sweeper.h"

#include <algorithm>

#include "system/log.h"

namespace pgforeman {
namespace {

constexpr Millis kEvery{50};
constexpr Millis kEveryMost{1000};  // while the marks stand still, but a message may appear
constexpr Millis kLookSoonest{20};
// Unconditional looks: at the last numbers, as the sequence may have a cache, and at all.
constexpr Millis kLastEvery{10'000}, kPassEvery{600'000};
constexpr std::int64_t kLast = 100'000;
// One run looks for so long; then it rests as long, so that a long catch-up takes half of the time.
constexpr Millis kSlice{15};
constexpr Millis kStatement{5};
constexpr Millis kRestMost{200};
constexpr Millis kFailedRest{2000};
// Numbers may begin anywhere: over an empty range statements grow until they are past it.
constexpr std::int64_t kWidth = 50'000, kWidthLeast = 5'000, kWidthMost = kMaxNumber;
// A view of the writers takes longer while claims walk over deleted messages above the marks.
constexpr Millis kSlowView{5};
constexpr Millis kOld{1000};
// More than what a clock that runs too fast or slow can gain between two looks.
constexpr std::int64_t kClockStepUs = 100'000;

}  // namespace

void Sweeper::start_over() {
  writers_.start_over();
  plan_.start_over();
  width_ = kWidth;
  wait_ = kEvery;
  next_ = next_last_ = TimePoint{};
  due_from_us_ = clock_us_ = 0;
  old_number_ = new_number_ = 0;
  new_number_at_ = TimePoint{};
}

/// A fleet that has no marks yet begins with those of the last one.
void Sweeper::load_marks() {
  LowWaterMarks& marks = tools_.queue().marks;
  if (marks.read() == Marks{}) {
    const Marks saved = tools_.session.queue().saved_marks();
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      plan_.skip(lane, saved[lane]);  // the first look's pass covers it
      marks.raise(lane, saved[lane]);
    }
  }
  loaded_ = true;
}

void Sweeper::save_marks() {
  const Marks marks = tools_.queue().marks.read();
  if (loaded_ && marks != Marks{}) tools_.session.queue().save_marks(marks);
}

void Sweeper::run_once() {
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
    } catch (const DatabaseError&) {
      width_ = std::max(width_ / 8, kWidthLeast);
      next_ = Clock::now() + kFailedRest;
      // A claim may work: it begins at the first message once the marks are old.
      tools_.wakeups.wake(1);
      throw;
    }
    failing_ = false;
  }
  // Consumers may rely on the marks only while looks work.
  if (!failing_) tools_.queue().marks.record_sweep(Clock::now());
}

TimePoint Sweeper::next() const {
  if (failing_) return next_;
  if (may_appear()) return next_;
  return std::max(next_, std::min(plan_.due(), next_last_));
}

/// True if a message may appear below a mark, or is due before the searches begin.
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
  const OpenWriters writers = tools_.session.queue().open_writers(marks);
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
  raise_marks(writers, now, starts);
  refusals_.expire(now);
  for (const auto id : tools_.queue().refused_claims.take()) refusals_.leave_out(id, now);
  std::int64_t moved = 0;
  while (Clock::now() - now < kSlice) {
    const auto ranges = plan_.next(width_, Clock::now());
    if (ranges.empty()) break;
    const TimePoint began = Clock::now();
    tools_.loop.enter(Phase::claiming);
    const Sweep found =
        tools_.session.queue().sweep(ranges, plan_.bucket_bits(), refusals_.current());
    tools_.session.worked();
    refusals_.add(found.refused.ids, found.refused.reason, began);
    plan_.looked(ranges, found, Clock::now());
    const auto took = Clock::now() - began;
    if (took > 2 * kStatement) width_ = std::max(width_ / 2, kWidthLeast);
    if (took < kStatement / 2) width_ = std::min(width_ * 2, kWidthMost);
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
}

/// Where claims walk over deleted messages in front of the first one that is visible, raises the
/// marks to it: a fleet that starts behind a million of them, or beside a busy one, walks
/// over them once. But for the first time not to numbers of the last second, as their senders may
/// still be on the way.
void Sweeper::raise_marks(const OpenWriters& writers, TimePoint now, bool starts) {
  if (now - new_number_at_ >= kOld) {
    old_number_ = new_number_ > 0 ? new_number_ : writers.highest;
    new_number_ = writers.highest;
    new_number_at_ = now;
  }
  // A busy machine may make one view slow.
  slow_views_ = looked_at_ - now < kSlowView ? 0 : slow_views_ + 1;
  if (slow_views_ < (starts ? 1 : 2)) return;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const std::int64_t before = writers.first[lane] > 0 ? writers.first[lane] - 1 : kMaxNumber;
    const std::int64_t mark = std::min(before, old_number_);
    if (mark <= plan_.marks()[lane]) continue;
    plan_.skip(lane, mark);
    tools_.queue().marks.raise(lane, mark);
  }
}

void Sweeper::searched(const ServerTimes& times, TimePoint asked_at) {
  // Other transactions may schedule messages that are due from then on. The margin is for clocks.
  const std::int64_t first = times.next_due_us.value_or(times.at_us);
  due_from_us_ =
      std::max<std::int64_t>(0, std::min(first, writers_.unseen().due_us) - 2 * kClockStepUs);
  check_clock(times.at_us, asked_at);
}

/// After a step back of the server's clock messages may be due before those that are gone. The
/// server read its clock between the times of question and answer.
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

/// False, and starts over, if a mark is above all numbers that were ever drawn. No claim wrote it:
/// the scoreboard is damaged, or the database is an older one.
bool Sweeper::trusts(const OpenWriters& writers, const Marks& marks) {
  bool sound = true;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    if (marks[lane] <= writers.highest) continue;
    tools_.queue().marks.forget(lane, marks[lane]);
    sound = false;
  }
  if (!sound) {
    const bool first = tools_.fleet().should_log("marks", Clock::now());
    log::write(first ? log::Level::warn : log::Level::debug,
               "low-water mark above all messages, reset", {{"highest", writers.highest}});
    start_over();
  }
  return sound;
}

}  // namespace pgforeman
