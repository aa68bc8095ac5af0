#include "maintenance/rescue.h"

#include <algorithm>
#include <utility>

#include "maintenance/rescue_outcome.h"
#include "process/settle_each.h"
#include "system/log.h"

namespace pgforeman {
namespace {

// Searches for the rows of a claim in doubt: at once, then after 5, 10, 20 ... ms. The last search
// is later than the server's statement timeout, when the claim must have ended.
constexpr Millis kFirstSearchWait{5};
constexpr Millis kLastSearchWait{20000};
// While rows are locked their rescue is deferred, each time for longer.
constexpr Millis kDeferFor{1000}, kDeferForMost{4000};
// The longest run: signals and other duties do not wait for longer, however much there is to rescue
// (or however much damaged shared memory shows).
constexpr Millis kTurnTime{100};
// How long claims are made without payloads after a consumer died in one.
constexpr Millis kCareful{3000};

template <typename Job>
bool is_due_before(const Job& a, const Job& b) {
  return a.due < b.due;
}

}  // namespace

bool Rescue::run_once() {
  const TimePoint turn_ends = Clock::now() + kTurnTime;
  out_of_time_ = false;
  std::erase_if(jobs_, [this](const Job& job) { return !is_orphaned(job.ledger); });
  for (int i = 0; i < kLedgers; ++i) {
    const LedgerId id{i};
    if (is_orphaned(id) && !has_job(id)) jobs_.push_front({id});
  }
  // The job due for longest comes first: a new job does not wait for those that failed before.
  bool found = false;
  while (!jobs_.empty()) {
    const auto job = std::min_element(jobs_.begin(), jobs_.end(), is_due_before<Job>);
    if (job->due > Clock::now()) break;
    out_of_time_ = Clock::now() >= turn_ends;
    if (out_of_time_) break;
    found = try_job(job) || found;
  }
  return found;
}

/// Settles a ledger, or searches for a claim. False if nothing was found, or it failed and was
/// deferred: other jobs do not wait for it.
bool Rescue::try_job(Jobs::iterator job) {
  try {
    if (job->search) return search_claim(job);
    rescue(job);
    return true;
  } catch (const DatabaseError& error) {
    if (error.is_of_session()) throw;
    defer_rescue(*job, error.what());
    return false;
  }
}

void Rescue::defer_rescue(Job& job, const std::string& reason) {
  const bool fleet_stops = tools_.fleet().is_stopping();
  job.wait = std::clamp(2 * job.wait, kDeferFor, fleet_stops ? kDeferFor : kDeferForMost);
  job.due = Clock::now() + job.wait;
  job.deferred = true;
  tools_.queue().duties.failed(Duty::rescue, reason, Clock::now());
  log::warn("rescue deferred", {{"reason", reason}});
}

bool Rescue::any_deferred() const {
  return std::any_of(jobs_.begin(), jobs_.end(), [](const Job& job) { return job.deferred; });
}

void Rescue::make_due() {
  for (Job& job : jobs_) {
    if (job.search) continue;
    job.due = Clock::now();
    job.wait = Millis{0};
  }
}

bool Rescue::is_orphaned(LedgerId ledger) const {
  return tools_.context.scoreboard->ledger_use(ledger).load() == LedgerUse::orphaned;
}

bool Rescue::has_job(LedgerId ledger) const {
  return std::any_of(jobs_.begin(), jobs_.end(),
                     [ledger](const Job& job) { return job.ledger == ledger; });
}

/// Ends a job. The last one frees the ledger, unless the supervisor has given it to another child.
void Rescue::end(Jobs::iterator job) {
  const LedgerId ledger = job->ledger;
  jobs_.erase(job);
  if (has_job(ledger)) return;
  LedgerUse orphaned = LedgerUse::orphaned;
  tools_.context.scoreboard->ledger_use(ledger).compare_exchange_strong(orphaned, LedgerUse::free);
}

bool Rescue::unsettled() const {
  if (std::any_of(jobs_.begin(), jobs_.end(), [](const Job& job) { return !job.search; })) {
    return true;
  }
  for (int i = 0; i < kLedgers; ++i) {
    if (is_orphaned(LedgerId{i}) && !has_job(LedgerId{i})) return true;
  }
  return false;
}

TimePoint Rescue::next() const {
  if (out_of_time_) return Clock::now();
  const auto job = std::min_element(jobs_.begin(), jobs_.end(), is_due_before<Job>);
  return job == jobs_.end() ? TimePoint::max() : job->due;
}

void Rescue::rescue(Jobs::iterator job) {
  const LedgerId id = job->ledger;
  // The supervisor may give up on an orphan and give its ledger to a living child.
  if (!is_orphaned(id)) {
    jobs_.erase(job);
    return;
  }
  tools_.loop.enter(Phase::settling);
  Scoreboard& board = *tools_.context.scoreboard;
  const LedgerReading ledger = read_ledger(board.ledger(id));
  const auto results = settle(ledger, board.ledger(id));
  tools_.session.worked();
  if (!is_orphaned(id)) {
    jobs_.erase(job);
    return;
  }
  std::size_t deferred = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (is_deferred(results[i])) {
      ++deferred;
      continue;
    }
    if (results[i] == Settled::refused) {
      tools_.queue().refused.add(RefusedChange::settle, 1);
    } else {
      record(ledger, i, results[i]);
    }
    record_settled(board.ledger(id), ledger.entries[i].index);
  }
  // Stored only now: if this process dies before, settled messages are not taken for lost.
  board.ledger(id).rescue_in_doubt.store(ledger.rescue_in_doubt ? 1 : 0);
  const bool searched = std::any_of(jobs_.begin(), jobs_.end(), [id](const Job& other) {
    return other.ledger == id && other.search;
  });
  if (ledger.claim.token != Token::none && !searched) {
    jobs_.push_back({id, Clock::now(), kFirstSearchWait, ledger.claim, ledger.death});
  }
  if (deferred > 0) {
    const bool any_locked = std::count(results.begin(), results.end(), Settled::locked) > 0;
    defer_rescue(*job,
                 any_locked
                     ? "the rows of " + std::to_string(deferred) + " messages are locked"
                     : "the database failed to settle " + std::to_string(deferred) + " messages");
  } else {
    end(job);
  }
  tools_.wakeups.wake(static_cast<std::int64_t>(results.size() - deferred));
}

std::vector<Settled> Rescue::settle(const LedgerReading& reading, Ledger& ledger) {
  std::vector<Settlement> settlements;
  for (const auto& entry : reading.entries) {
    settlements.push_back(
        {entry.lease, outcome_of(entry, reading), {ledger.slot.load(), entry.started_ms}});
  }
  if (settlements.empty()) return {};
  ledger.rescue_in_doubt.store(1);  // for the next try, here or in a successor, if this call fails
  std::vector<Settled> results;
  try {
    results = settle_each(tools_.session.queue(), settlements, retry_rule(*tools_.context.options));
  } catch (const DatabaseError& error) {
    // The answer was an error: if a lease is gone later, this call did not end it.
    if (error.kind() == DatabaseError::Kind::transient) {
      ledger.rescue_in_doubt.store(reading.rescue_in_doubt ? 1 : 0);
    }
    throw;
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    // An earlier settle, of the consumer or of maintenance, may have ended the lease: its answer
    // was lost, so it was not counted.
    const auto state = reading.entries[i].state;
    const bool in_doubt = reading.rescue_in_doubt || state == MessageState::settling ||
                          state == MessageState::in_doubt;
    if (results[i] == Settled::lost_lease && in_doubt) {
      results[i] = as_settled_before(settlements[i].outcome.kind);
    }
  }
  return results;
}

void Rescue::record(const LedgerReading& reading, std::size_t index, Settled settled) {
  const auto& entry = reading.entries[index];
  const Outcome outcome = outcome_of(entry, reading);
  count_settled(tools_.loop.slot(), settled);
  const bool lost = settled == Settled::lost_lease;
  tools_.fleet().count(lost ? Cause::lease_lost : outcome.evidence.cause);
  const log::MessageScope scope(entry.lease.id, entry.attempt);
  if (settled == Settled::dead) {
    log::error("message is a dead letter",
               {{"cause", to_string(outcome.evidence.cause)}, {"error", outcome.error}});
  }
  // A crash of its consumer is charged to it.
  log::write(outcome.kind == Outcome::Kind::crash ? log::Level::warn : log::Level::info,
             "message rescued", {{"as", to_string(settled)}, {"cause", reading.death.explain}});
}

bool Rescue::search_claim(Jobs::iterator job) {
  const TimePoint now = Clock::now();
  tools_.loop.enter(Phase::settling);
  std::optional<Outcome> crash;
  if (job->death.blame != Cause::none) {
    crash = crash_of(job->death, "claimed");
    if (job->wait == kFirstSearchWait) {
      tools_.queue().careful_until_ms.store(to_ms(now + kCareful));
    }
  }
  const auto messages = release_in_doubt_claim(tools_.session.queue(), *job->search, crash,
                                               retry_rule(*tools_.context.options));
  job->due = now + job->wait;
  job->wait *= 2;
  if (messages > 0) {
    tools_.loop.slot().released.fetch_add(static_cast<std::uint64_t>(messages));
    log::info("claim in doubt released", {{"messages", messages}});
    tools_.wakeups.wake(messages);
  }
  // A claim commits once: these were all of its messages.
  if (messages > 0 || job->wait >= kLastSearchWait) {
    tools_.context.scoreboard->ledger(job->ledger).claiming_token.store(Token::none);
    end(job);
  }
  return messages > 0;
}

}  // namespace pgforeman
