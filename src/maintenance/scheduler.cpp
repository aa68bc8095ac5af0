#include "maintenance/scheduler.h"

#include <algorithm>
#include <utility>

#include "queue/queue_names.h"
#include "system/log.h"

namespace pgforeman {
namespace {

// An idle fleet then runs less than one statement a second, looks included.
constexpr Millis kTick{1200};  // proves: P34
constexpr Millis kSoonest{20};
constexpr Millis kSlow{50};
constexpr int kMostPromoted = 10'000;
constexpr std::int64_t kMostCounted = 10'000;  // as pgforeman.counts does

}  // namespace

void Scheduler::session_opened() {
  announced_ = false;
  most_ = kMostPromoted;
  // First of all: until this is done a restored database gives out used ids.
  advance_ids();
}

void Scheduler::soon() {
  next_ = std::min(next_, ran_at_ + kSoonest);
}

void Scheduler::due_in(Millis due) {
  next_ =
      std::min(next_, std::max<TimePoint>(Clock::now() + std::min(due, kTick), ran_at_ + kSoonest));
}

bool Scheduler::run_once() {
  tools_.loop.enter(Phase::claiming);
  ran_at_ = Clock::now();
  // Varies the interval: fleets in step would all wake a consumer for the same messages.
  const Millis every{static_cast<Millis::rep>(static_cast<double>(kTick.count()) *
                                              (0.9 + 0.2 * tools_.loop.random()))};
  // Retries may need fifty ticks a second, but only for the promotion.
  std::optional<Tick> counted;
  if (refusals_.expire(ran_at_)) sweeper_.search_all_due();
  if (ran_at_ >= next_count_ && !count_rest_.rests(ran_at_)) {
    next_count_ = ran_at_ + every;
    counted = try_counting();
  }
  const Tick tick = counted ? *counted : promote();
  tools_.session.worked();
  sweeper_.searched(tick.times, ran_at_);
  refusals_.add(tick.refused, ran_at_);
  most_ = std::min(2 * most_, kMostPromoted);
  if (counted) {
    publish(tick.counts);
    if (tick.ids_behind) advance_ids();
    if (!knows_queue_) name_other_queues(tick.counts);
  }
  if (!announced_) {
    announced_ = true;
    tools_.fleet().database_up.fetch_add(1);
  }
  // Runs again when the next message is due: it would wait for the regular tick.
  next_ = Clock::now() + std::clamp(tick.times.next_due().value_or(every), kSoonest, every);
  if (refusals_.is_full()) next_ = ran_at_ + every;  // what is not remembered is tried each time
  const std::int64_t found = counted ? tick.counts.ready : tick.promoted;
  if (found > 0 || counted) tools_.wakeups.wake(found);
  return !refusals_.any_without_fault();
}

/// Promotes and counts. Nothing if that failed: promotion alone may work.
std::optional<Tick> Scheduler::try_counting() {
  try {
    Tick tick = tools_.session.queue().tick(sweeper_.count_from(), sweeper_.due_from_us(), most_,
                                            refusals_.current());
    count_rest_ = {};
    tools_.queue().duties.worked(Duty::count);
    return tick;
  } catch (const DatabaseError& error) {
    if (error.is_of_session()) throw;  // proves: P37
    count_rest_.failed(Clock::now());
    tools_.duty_failed(Duty::count, error.what());
    return std::nullopt;
  }
}

Tick Scheduler::promote() {
  try {
    return tools_.session.queue().tick(std::nullopt, sweeper_.due_from_us(), most_,
                                       refusals_.current());
  } catch (const DatabaseError& error) {
    // One that takes too long (its trigger waits, say) is found by fewer and fewer at a time.
    if (most_ == 1 && !error.is_of_session()) leave_out_first(error.what());
    most_ = std::max(most_ / 10, 1);
    next_ = Clock::now() + kSoonest;
    throw;
  }
}

/// Leaves out the message that cannot be promoted by itself.
void Scheduler::leave_out_first(const std::string& reason) {
  const auto id = tools_.session.queue().first_due(sweeper_.due_from_us(), refusals_.current());
  if (id) refusals_.add({{*id}, reason, true}, Clock::now());
}

/// Sets the ids forward at once: a send fails if another message has its id.
void Scheduler::advance_ids() {
  try {
    if (const auto advanced = tools_.session.queue().advance_ids()) {
      sweeper_.search_all_soon();
      log::warn("message ids would repeat, the sequence is set forward",
                {{"from", advanced->from},
                 {"to", advanced->to},
                 {"because",
                  advanced->moved ? "restored, copied or failed over" : "ids above the sequence"}});
    }
  } catch (const DatabaseError& error) {
    if (error.kind() == DatabaseError::Kind::connection) throw;
    if (error.may_work_later()) return;  // the next count tries again
    if (!tools_.fleet().should_log(error.what(), Clock::now())) return;
    log::warn("message ids repeat, the sequence could not be set forward",
              {{"reason", error.what()}});
  }
}

/// Logs which queues are in use if this one is empty at the start: its name may be mistyped.
void Scheduler::name_other_queues(const QueueCounts& counts) {
  knows_queue_ = true;
  // Other duties would wait while it walks over many deleted messages.
  if (Clock::now() - ran_at_ > kSlow) return;
  const auto is_empty = [](const QueueCounts& c) {
    return c.ready + c.scheduled + c.running + c.dead == 0;
  };
  // `counts` lacks messages below the marks, such as all that run, so this counts without marks.
  if (!is_empty(counts) || !is_empty(tools_.session.queue().counts())) return;
  const auto queues = queues_in_use(tools_.session.connection(), kMostNamedQueues);
  const std::string others = names_with_counts(queues, &QueueSize::messages);
  if (others.empty()) return;
  log::info("the queue is empty, others are not",
            {{"queue", tools_.context.options->queue}, {"others", others}});
}

void Scheduler::publish(const QueueCounts& counts) {
  QueueCounted& board = tools_.queue().counted;
  board.ready.store(counts.ready);
  board.scheduled.store(counts.scheduled);
  // Most leased messages are below the marks, where the sweeper counts them.
  const auto running = counts.running + sweeper_.leased_below();
  board.running.store(std::min(running, kMostCounted));
  board.dead.store(counts.dead);
  board.oldest_ms.store(static_cast<std::int64_t>(counts.oldest_seconds * 1000));
  board.capped.store(counts.capped || running > kMostCounted ? 1 : 0);
  board.at_ms.store(to_ms(Clock::now()));
}

}  // namespace pgforeman
