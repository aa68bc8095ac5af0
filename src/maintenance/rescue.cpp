#include "maintenance/rescue.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/utf8.h"

namespace pgforeman {
namespace {

using Kind = Outcome::Kind;

// Looks for the rows of an unheard claim: at once, then after 5, 10, 20 ... ms; the last one is
// later than the server's statement timeout, when nothing can be under way any more.
constexpr Millis kFirstLook{5};
constexpr Millis kLastLook{20000};

/// What a dead consumer's handler last said, made fit for a database.
std::string readable(const std::string& raw) {
  std::string text = to_valid_utf8(raw);
  std::replace(text.begin(), text.end(), '\0', ' ');
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

/// Of a message that its consumer was running, or claiming, when it died.
Outcome crash_of(const Death& death, const std::string& doing) {
  Outcome outcome{Kind::crash};
  // At once: it is in the fleet's interest to know soon whether it happens again.
  outcome.after = Millis{0};
  outcome.error = death.explain + " while it " + doing + " this message";
  outcome.evidence = {death.blame, death.exit_code, death.signal, death.handler_peak_rss_kib, ""};
  return outcome;
}

/// Told to the ledger, but not yet to the queue, when its consumer died.
Outcome finished(Kind kind, const LedgerReading::Entry& entry, const Death& death) {
  Outcome outcome{kind};
  if (kind == Kind::done) return outcome;
  outcome.error = death.explain + " before it could say why";
  outcome.evidence = entry.evidence;
  if (entry.after_ms >= 0) outcome.after = Millis{entry.after_ms};
  return outcome;
}

Outcome outcome_of(const LedgerReading::Entry& entry, const LedgerReading& ledger) {
  switch (entry.state) {
    case LeaseState::done:
      return finished(Kind::done, entry, ledger.death);
    case LeaseState::dead:
      return finished(Kind::dead, entry, ledger.death);
    case LeaseState::retry:
      return finished(Kind::retry, entry, ledger.death);
    case LeaseState::crash:
      return finished(Kind::crash, entry, ledger.death);
    case LeaseState::worn_out:
      return finished(Kind::worn_out, entry, ledger.death);
    case LeaseState::released: {
      Outcome outcome{Kind::released};
      outcome.evidence = entry.evidence;  // it may have run, until the fleet stopped
      return outcome;
    }
    case LeaseState::running: {
      Outcome outcome = ledger.death.blame == Cause::none ? Outcome{Kind::released}
                                                          : crash_of(ledger.death, "ran");
      if (outcome.kind == Kind::released) outcome.evidence.cause = Cause::shutdown;
      outcome.evidence.stderr_tail = readable(ledger.stderr_tail);
      return outcome;
    }
    default:
      return Outcome{Kind::released};
  }
}

}  // namespace

bool Rescue::run_once() {
  bool found = false;
  Scoreboard& board = *tools_.context.scoreboard;
  for (int i = 0; i < kLedgers; ++i) {
    if (board.ledger_use(i).load() != LedgerUse::orphaned) continue;
    const bool known = std::any_of(unheard_.begin(), unheard_.end(),
                                   [i](const UnheardClaim& claim) { return claim.ledger == i; });
    if (known) continue;
    rescue(i);
    found = true;
  }
  return release_unheard() || found;
}

TimePoint Rescue::next() const {
  TimePoint next = TimePoint::max();
  for (const auto& claim : unheard_) next = std::min(next, claim.next_look);
  return next;
}

void Rescue::rescue(int index) {
  tools_.loop.enter(Phase::settling);
  Scoreboard& board = *tools_.context.scoreboard;
  const LedgerReading ledger = read_ledger(board.ledger(index));
  const auto settled = settle(ledger, board.ledger(index).slot.load());
  tools_.session.worked();
  for (std::size_t i = 0; i < settled.size(); ++i) {
    const auto& entry = ledger.entries[i];
    count_settled(tools_.loop.slot().slot(), settled[i]);
    const Outcome outcome = outcome_of(entry, ledger);
    count_cause(board.fleet(),
                settled[i] == Settled::lost_lease ? Cause::lease_lost : outcome.evidence.cause);
    const log::MessageScope scope(entry.lease.id, entry.attempt);
    if (settled[i] == Settled::dead) {
      log::error("message is a dead letter",
                 {{"cause", to_string(outcome.evidence.cause)}, {"error", outcome.error}});
    }
    log::info("message rescued", {{"as", to_string(settled[i])}, {"cause", ledger.death.explain}});
  }
  if (ledger.claiming_token != 0) {
    unheard_.push_back({index, ledger.claiming_token, ledger.claiming_marks, ledger.death,
                        kFirstLook, Clock::now()});
  } else {
    board.ledger_use(index).store(LedgerUse::free);
  }
  tools_.waker.wake_for(static_cast<std::int64_t>(settled.size()));
}

std::vector<Settled> Rescue::settle(const LedgerReading& ledger, int slot) {
  std::vector<Settlement> settlements;
  for (const auto& entry : ledger.entries) {
    settlements.push_back({entry.lease, outcome_of(entry, ledger), {slot, entry.started_ms}});
  }
  if (settlements.empty()) return {};
  auto settled = tools_.session.queue().settle(settlements, retry_rule(*tools_.context.options));
  for (std::size_t i = 0; i < settled.size(); ++i) {
    // A finished message that is not held any more was told by its consumer, which died before it
    // heard the answer and counted.
    const auto state = ledger.entries[i].state;
    const bool done = state != LeaseState::held && state != LeaseState::running;
    if (settled[i] == Settled::lost_lease && done) {
      settled[i] = as_told_before(settlements[i].outcome.kind);
    }
  }
  return settled;
}

bool Rescue::release_unheard() {
  const TimePoint now = Clock::now();
  bool found = false;
  for (auto& claim : unheard_) {
    if (now < claim.next_look) continue;
    tools_.loop.enter(Phase::settling);
    Queue& queue = tools_.session.queue();
    const auto messages = claim.death.blame == Cause::none
                              ? queue.release_token(claim.token, claim.marks)
                              : queue.blame_token(claim.token, retry_rule(*tools_.context.options),
                                                  crash_of(claim.death, "claimed"), claim.marks);
    claim.next_look = now + claim.wait;
    claim.wait *= 2;
    if (messages == 0) continue;
    found = true;
    claim.wait = kLastLook;  // a claim commits once: that was all of it
    tools_.loop.slot().slot().released.fetch_add(static_cast<std::uint64_t>(messages));
    log::info("claim without an answer released", {{"messages", messages}});
    tools_.waker.wake_for(messages);
  }
  std::erase_if(unheard_, [this](const UnheardClaim& claim) {
    if (claim.wait < kLastLook) return false;
    tools_.context.scoreboard->ledger_use(claim.ledger).store(LedgerUse::free);
    return true;
  });
  return found;
}

}  // namespace pgforeman
