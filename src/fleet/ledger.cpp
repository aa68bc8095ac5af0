#include "fleet/ledger.h"

#include <algorithm>

namespace pgforeman {
namespace {

/// Wall clock of the year 10000: timestamps have four-digit years.
constexpr std::int64_t kYear10000Ms = 253'402'300'800'000;

/// Reads a cause; none if the word is invalid.
Cause cause_of(const std::atomic<Cause>& word) {
  const auto cause = word.load();
  return static_cast<int>(cause) < kCauseCount ? cause : Cause::none;
}

void copy(const LedgerEntry& from, LedgerEntry& to) {
  to.state.store(MessageState::settled);
  to.id.store(from.id.load());
  to.token.store(from.token.load());
  to.outcome.store(from.outcome.load());
  to.attempt.store(from.attempt.load());
  to.after_ms.store(from.after_ms.load());
  to.started_ms.store(from.started_ms.load());
  to.cause.store(from.cause.load());
  to.exit_code.store(from.exit_code.load());
  to.signal.store(from.signal.load());
  to.peak_rss_kib.store(from.peak_rss_kib.load());
  to.lost_token.store(from.lost_token.load());
  to.state.store(from.state.load());
}

bool names_message(MessageState state) {
  return state != MessageState::settled && state < MessageState::lost;
}

/// Returns the entry; nothing if it holds no message, is invalid or changed meanwhile. So the state
/// of another message is never taken for this one's. The writer may still live: a stray write can
/// mark its ledger orphaned.
std::optional<LedgerReading::Entry> read_entry(const LedgerEntry& entry, std::size_t index) {
  const auto state = entry.state.load();
  const auto outcome = entry.outcome.load();
  if (!names_message(state) || (is_unsettled(state) && outcome > Outcome::Kind::released)) {
    return std::nullopt;
  }
  LedgerReading::Entry reading{
      index,
      {entry.id.load(), entry.token.load()},
      state,
      outcome,
      entry.attempt.load(),
      // Limited to a year: the database would refuse the interval of a torn number.
      std::clamp<std::int64_t>(entry.after_ms.load(), -1, 366LL * 24 * 3600 * 1000),
      std::clamp<std::int64_t>(entry.started_ms.load(), 0, kYear10000Ms - 1),
      {cause_of(entry.cause), entry.exit_code.load(), entry.signal.load(),
       entry.peak_rss_kib.load(), ""}};
  if (entry.state.load() != state) return std::nullopt;
  return reading;
}

Death read_death(const Ledger& ledger) {
  Death death;
  death.blame = cause_of(ledger.blame);
  death.exit_code = ledger.exit_code.load();
  death.signal = ledger.signal.load();
  death.handler_peak_rss_kib = ledger.handler_peak_rss_kib.load();
  death.explain = ledger.explain.load();
  // Only the supervisor writes it, but bytes of a stray write must not get into SQL text.
  std::replace_if(
      death.explain.begin(), death.explain.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return death;
}

std::string read_stderr(const Ledger& ledger) {
  const auto& ring = ledger.stderr_ring;
  const auto end = ledger.stderr_bytes.load();
  std::string text;
  for (auto at = end - std::min<std::uint64_t>(end, ring.size()); at != end; ++at) {
    text.push_back(ring[at % ring.size()].load(std::memory_order_relaxed));
  }
  return text;
}

}  // namespace

void LedgerWriter::begin_claim(const Claim& claim) {
  ledger_.run_until_ms.store(0, std::memory_order_relaxed);
  begun_at_ms_ = to_ms(Clock::now());
  for (std::size_t i = 0; i < claim.marks.size(); ++i) {
    ledger_.claiming_marks[i].store(claim.marks[i], std::memory_order_relaxed);
  }
  ledger_.claiming_token.store(claim.token);
}

void LedgerWriter::end_claim(std::span<const ClaimedMessage> messages) {
  const std::size_t count = std::min(messages.size(), kMaxBatch - held_);
  // With earlier messages held, the older time stays: their leases must be renewed.
  if (held_ == 0) ledger_.claimed_at_ms.store(begun_at_ms_, std::memory_order_relaxed);
  for (std::size_t i = 0; i < count; ++i) {
    LedgerEntry& entry = ledger_.entries[held_ + i];
    entry.state.store(MessageState::settled);  // see read_entry()
    std::atomic_thread_fence(std::memory_order_release);
    entry.id.store(messages[i].id, std::memory_order_relaxed);
    entry.token.store(messages[i].token, std::memory_order_relaxed);
    entry.attempt.store(messages[i].attempt, std::memory_order_relaxed);
    entry.after_ms.store(-1, std::memory_order_relaxed);
    entry.started_ms.store(0, std::memory_order_relaxed);
    entry.lost_token.store(Token::none, std::memory_order_relaxed);
    entry.state.store(MessageState::waiting, std::memory_order_relaxed);
  }
  // Clears the token after it wrote the entries: at every instant one of them names the rows.
  held_ += count;
  ledger_.count.store(static_cast<std::uint32_t>(held_));
  ledger_.claiming_token.store(Token::none);
}

void LedgerWriter::set_state(std::size_t index, MessageState state) {
  ledger_.entries[index].state.store(state, std::memory_order_release);
}

void LedgerWriter::start(std::size_t index, std::int64_t wall_ms, TimePoint deadline) {
  ledger_.run_until_ms.store(to_ms(deadline), std::memory_order_relaxed);
  ledger_.handler_pid.store(0, std::memory_order_relaxed);
  ledger_.stderr_bytes.store(0, std::memory_order_relaxed);
  ledger_.entries[index].started_ms.store(wall_ms, std::memory_order_relaxed);
}

void LedgerWriter::add_stderr(std::string_view chunk) {
  auto& ring = ledger_.stderr_ring;
  auto at = ledger_.stderr_bytes.load(std::memory_order_relaxed);
  for (const char c : chunk) ring[at++ % ring.size()].store(c, std::memory_order_relaxed);
  ledger_.stderr_bytes.store(at);
}

void LedgerWriter::finish(std::size_t index, const Outcome& outcome) {
  LedgerEntry& entry = ledger_.entries[index];
  // Only the running message ends the run: others of the batch may be released meanwhile.
  const auto state = entry.state.load();
  if (state == MessageState::running || state == MessageState::running_lost) {
    ledger_.run_until_ms.store(0, std::memory_order_relaxed);
  }
  const Evidence& evidence = outcome.evidence;
  entry.after_ms.store(outcome.after ? outcome.after->count() : -1, std::memory_order_relaxed);
  entry.cause.store(evidence.cause, std::memory_order_relaxed);
  entry.exit_code.store(evidence.exit_code, std::memory_order_relaxed);
  entry.signal.store(evidence.signal, std::memory_order_relaxed);
  entry.peak_rss_kib.store(evidence.peak_rss_kib, std::memory_order_relaxed);
  entry.outcome.store(outcome.kind, std::memory_order_relaxed);
}

void LedgerWriter::keep(std::span<const std::size_t> indexes) {
  for (std::size_t to = 0; to < indexes.size(); ++to) {
    const std::size_t from = indexes[to];
    if (from == to) continue;
    // For an instant the entry exists twice, which is safer than not at all.
    copy(ledger_.entries[from], ledger_.entries[to]);
    set_state(from, MessageState::settled);
  }
  held_ = indexes.size();
  ledger_.count.store(static_cast<std::uint32_t>(held_));
}

std::optional<TimePoint> LedgerWriter::renewed(TimePoint claimed_at, TimePoint now) const {
  const auto ms = ledger_.renewed_at_ms.load();
  if (ms < to_ms(claimed_at) || ms > to_ms(now)) return std::nullopt;
  return from_ms(ms);
}

bool LedgerWriter::lost(std::size_t index) const {
  const LedgerEntry& entry = ledger_.entries[index];
  return entry.lost_token.load() != Token::none && entry.lost_token.load() == entry.token.load();
}

std::vector<Lease> leases_to_renew(const Ledger& ledger, TimePoint fresh_since, TimePoint now) {
  std::vector<Lease> leases;
  const auto run_until = ledger.run_until_ms.load();
  if (run_until != 0 && to_ms(now) > run_until) return leases;
  if (ledger.claimed_at_ms.load() > to_ms(fresh_since)) return leases;
  const std::size_t count = std::min<std::size_t>(ledger.count.load(), kMaxBatch);
  for (std::size_t i = 0; i < count; ++i) {
    const LedgerEntry& entry = ledger.entries[i];
    const auto state = entry.state.load();
    if (!names_message(state) || state == MessageState::running_lost) continue;
    // Released messages need no renewal: they are about to be given back.
    if (is_unsettled(state) && entry.outcome.load() == Outcome::Kind::released) continue;
    leases.push_back({entry.id.load(), entry.token.load()});
  }
  return leases;
}

void record_renewal(Ledger& ledger, TimePoint asked_at, std::span<const Lease> lost) {
  ledger.renewed_at_ms.store(to_ms(asked_at));
  if (lost.empty()) return;
  for (LedgerEntry& entry : ledger.entries) {
    const Lease held{entry.id.load(), entry.token.load()};
    for (const Lease& gone : lost) {
      if (gone.id == held.id && gone.token == held.token) entry.lost_token.store(gone.token);
    }
  }
}

LedgerReading read_ledger(const Ledger& ledger) {
  LedgerReading reading;
  reading.claim.token = ledger.claiming_token.load();
  reading.rescue_in_doubt = ledger.rescue_in_doubt.load() == 1;
  for (std::size_t i = 0; i < reading.claim.marks.size(); ++i) {
    reading.claim.marks[i] = ledger.claiming_marks[i].load();
  }
  reading.death = read_death(ledger);
  reading.stderr_tail = read_stderr(ledger);
  const std::size_t count = std::min<std::size_t>(ledger.count.load(), kMaxBatch);
  for (std::size_t i = 0; i < count; ++i) {
    if (auto entry = read_entry(ledger.entries[i], i)) reading.entries.push_back(*entry);
  }
  return reading;
}

void clear_ledger(Ledger& ledger) {
  ledger.count.store(0);
  ledger.rescue_in_doubt.store(0);
  ledger.claiming_token.store(Token::none);
}

void record_settled(Ledger& ledger, std::size_t index) {
  ledger.entries[index].state.store(MessageState::settled);
}

void sign_ledger(Ledger& ledger, const Death& death) {
  ledger.blame.store(death.blame, std::memory_order_relaxed);
  ledger.exit_code.store(death.exit_code, std::memory_order_relaxed);
  ledger.signal.store(death.signal, std::memory_order_relaxed);
  ledger.handler_peak_rss_kib.store(death.handler_peak_rss_kib, std::memory_order_relaxed);
  ledger.explain.store(death.explain);
}

}  // namespace pgforeman
