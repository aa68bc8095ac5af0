#include "maintenance/rescue.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "child/settle_each.h"
#include "maintenance/rescue_outcome.h"

namespace pgforeman {
namespace {

// Looks for the rows of an unheard claim: at once, then after 5, 10, 20 ... ms; the last one is
// later than the server's statement timeout, when nothing can be under way any more.
constexpr Millis kFirstLook{5};
constexpr Millis kLastLook{20000};
// What is locked waits ever longer.
constexpr Millis kPutOffFor{1000}, kPutOffForMost{4000};
// However much there is to rescue (or shared memory claims there is), signals and other duties do
// not wait for longer.
constexpr Millis kTurn{100};

}  // namespace

bool Rescue::run_once() {
  bool found = false;
  turn_ends_ = Clock::now() + kTurn;
  std::erase_if(put_off_, [this](const auto& put_off) { return !is_orphaned(put_off.first); });
  std::erase_if(searches_, [this](const Search& search) { return !is_orphaned(search.ledger); });
  // Nothing new waits for what was in vain before: that may take all of each turn.
  for (int i = 0; i < kLedgers && !ends_turn(); ++i) {
    if (is_new(i)) found = try_rescue(i) || found;
  }
  found = release_unheard() || found;
  for (auto due = longest_due(); due && !ends_turn(); due = longest_due()) {
    found = try_rescue(*due) || found;
  }
  return found;
}

/// False when it is put off, since nothing else waits for it.
bool Rescue::try_rescue(int ledger) {
  try {
    rescue(ledger);
    return true;
  } catch (const DatabaseError& error) {
    if (error.kind() != DatabaseError::Kind::transient) throw;
    put_off(ledger, error.what());
    return false;
  }
}

/// Of those put off.
std::optional<int> Rescue::longest_due() const {
  const auto first = std::min_element(
      put_off_.begin(), put_off_.end(),
      [](const auto& a, const auto& b) { return a.second.until < b.second.until; });
  if (first == put_off_.end() || first->second.until > Clock::now()) return std::nullopt;
  return first->first;
}

bool Rescue::ends_turn() {
  turn_over_ = Clock::now() >= turn_ends_;
  return turn_over_;
}

void Rescue::put_off(int ledger, const std::string& reason) {
  PutOff& put_off = put_off_[ledger];
  const bool fleet_stops = tools_.context.scoreboard->fleet().ends_at_ms.load() != 0;
  put_off.wait =
      std::clamp(2 * put_off.wait, kPutOffFor, fleet_stops ? kPutOffFor : kPutOffForMost);
  put_off.until = Clock::now() + put_off.wait;
  log::warn("rescue put off", {{"reason", reason}});
}

void Rescue::hurry() {
  for (auto& [ledger, put_off] : put_off_) put_off = PutOff{Clock::now(), Millis{0}};
}

bool Rescue::is_orphaned(int ledger) const {
  return tools_.context.scoreboard->ledger_use(ledger).load() == LedgerUse::orphaned;
}

bool Rescue::is_searched(int ledger) const {
  return std::any_of(searches_.begin(), searches_.end(),
                     [ledger](const Search& search) { return search.ledger == ledger; });
}

bool Rescue::is_new(int ledger) const {
  return is_orphaned(ledger) && !put_off_.contains(ledger) && !is_searched(ledger);
}

/// Unless the supervisor has just given it to another child.
void Rescue::free_ledger(int ledger) {
  LedgerUse orphaned = LedgerUse::orphaned;
  tools_.context.scoreboard->ledger_use(ledger).compare_exchange_strong(orphaned, LedgerUse::free);
}

bool Rescue::unsettled() const {
  if (!put_off_.empty()) return true;
  for (int i = 0; i < kLedgers; ++i) {
    if (is_new(i)) return true;
  }
  return false;
}

TimePoint Rescue::next() const {
  if (turn_over_) return Clock::now();
  TimePoint next = TimePoint::max();
  for (const auto& [ledger, put_off] : put_off_) next = std::min(next, put_off.until);
  for (const Search& search : searches_) next = std::min(next, search.next_look);
  return next;
}

/// The supervisor may have given up on an orphan and given its ledger to a living child.
bool Rescue::is_given_away(int ledger) {
  if (is_orphaned(ledger)) return false;
  put_off_.erase(ledger);
  return true;
}

void Rescue::rescue(int index) {
  if (is_given_away(index)) return;
  tools_.loop.enter(Phase::settling);
  Scoreboard& board = *tools_.context.scoreboard;
  const LedgerReading ledger = read_ledger(board.ledger(index));
  const auto results = settle(ledger, board.ledger(index));
  tools_.session.worked();
  if (is_given_away(index)) return;
  std::size_t locked = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (is_deferred(results[i])) {
      ++locked;
      continue;
    }
    if (results[i] != Settled::refused) record(ledger, i, results[i]);
    LedgerWriter(board.ledger(index)).set_state(ledger.entries[i].index, MessageState::settled);
  }
  // Only now: if we die in between, what was settled is not taken for lost.
  board.ledger(index).rescue_in_doubt.store(ledger.rescue_in_doubt ? 1 : 0);
  if (ledger.claiming_token != 0 && !is_searched(index)) {
    searches_.push_back({index,
                         {ledger.claiming_token, ledger.claiming_marks},
                         ledger.death,
                         kFirstLook,
                         Clock::now()});
  }
  if (locked > 0) {
    const bool failed = std::count(results.begin(), results.end(), Settled::failed) > 0;
    put_off(index, failed ? "the database failed to settle " + std::to_string(locked) + " messages"
                          : "the rows of " + std::to_string(locked) + " messages are locked");
  } else {
    put_off_.erase(index);
    if (!is_searched(index)) free_ledger(index);
  }
  tools_.waker.wake_for(static_cast<std::int64_t>(results.size() - locked));
}

std::vector<Settled> Rescue::settle(const LedgerReading& reading, Ledger& ledger) {
  std::vector<Settlement> settlements;
  for (const auto& entry : reading.entries) {
    settlements.push_back(
        {entry.lease, outcome_of(entry, reading), {ledger.slot.load(), entry.started_ms}});
  }
  if (settlements.empty()) return {};
  ledger.rescue_in_doubt.store(1);  // for this process or its successor, if this call fails
  std::vector<Settled> results;
  try {
    results = settle_each(tools_.session.queue(), settlements, retry_rule(*tools_.context.options));
  } catch (const DatabaseError& error) {
    // It was answered, with an error: a lease that is gone later was not ended by this call.
    if (error.kind() == DatabaseError::Kind::transient) {
      ledger.rescue_in_doubt.store(reading.rescue_in_doubt ? 1 : 0);
    }
    throw;
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    // What is not leased any more may have been settled before, by a call whose answer was lost
    // and that did not count: the consumer's, or one of maintenance.
    const auto state = reading.entries[i].state;
    const bool in_doubt = reading.rescue_in_doubt || state == MessageState::settling ||
                          state == MessageState::in_doubt;
    if (results[i] == Settled::lost_lease && in_doubt) {
      results[i] = as_told_before(settlements[i].outcome.kind);
    }
  }
  return results;
}

void Rescue::record(const LedgerReading& reading, std::size_t index, Settled settled) {
  const auto& entry = reading.entries[index];
  const Outcome outcome = outcome_of(entry, reading);
  count_settled(tools_.loop.slot(), settled);
  count_cause(tools_.context.scoreboard->fleet(),
              settled == Settled::lost_lease ? Cause::lease_lost : outcome.evidence.cause);
  const log::MessageScope scope(entry.lease.id, entry.attempt);
  if (settled == Settled::dead) {
    log::error("message is a dead letter",
               {{"cause", to_string(outcome.evidence.cause)}, {"error", outcome.error}});
  }
  log::info("message rescued", {{"as", to_string(settled)}, {"cause", reading.death.explain}});
}

bool Rescue::release_unheard() {
  const TimePoint now = Clock::now();
  bool found = false;
  for (Search& search : searches_) {
    if (now < search.next_look || ends_turn()) continue;
    tools_.loop.enter(Phase::settling);
    std::optional<Outcome> crash;
    if (search.death.blame != Cause::none) crash = crash_of(search.death, "claimed");
    const auto messages = release_unheard_claim(tools_.session.queue(), search.claim, crash,
                                                retry_rule(*tools_.context.options));
    search.next_look = now + search.wait;
    search.wait *= 2;
    if (messages == 0) continue;
    found = true;
    search.wait = kLastLook;  // a claim commits once: that was all of it
    tools_.loop.slot().released.fetch_add(static_cast<std::uint64_t>(messages));
    log::info("claim without an answer released", {{"messages", messages}});
    tools_.waker.wake_for(messages);
  }
  std::erase_if(searches_, [this](const Search& search) {
    if (search.wait < kLastLook) return false;
    tools_.context.scoreboard->ledger(search.ledger).claiming_token.store(0);
    if (!put_off_.contains(search.ledger)) free_ledger(search.ledger);
    return true;
  });
  return found;
}

}  // namespace pgforeman
