#include "scoreboard/ledger.h"

#include <algorithm>

namespace pgforeman {

void LedgerWriter::begin_claim(std::int64_t token) {
  ledger_.count.store(0);
  ledger_.claiming_token.store(token);
}

void LedgerWriter::end_claim(std::span<const Message> messages) {
  const std::size_t count = std::min(messages.size(), kMaxBatch);
  for (std::size_t i = 0; i < count; ++i) {
    LedgerEntry& entry = ledger_.entries[i];
    entry.id.store(messages[i].lease.id, std::memory_order_relaxed);
    entry.token.store(messages[i].lease.token, std::memory_order_relaxed);
    entry.attempt.store(messages[i].attempt, std::memory_order_relaxed);
    entry.after_ms.store(-1, std::memory_order_relaxed);
    entry.state.store(LeaseState::held, std::memory_order_relaxed);
  }
  // The entries stand before the token goes: at every instant one of the two tells of the rows.
  ledger_.count.store(static_cast<std::uint32_t>(count));
  ledger_.claiming_token.store(0);
}

void LedgerWriter::start(std::size_t index) {
  ledger_.entries[index].state.store(LeaseState::running);
}

void LedgerWriter::finish(std::size_t index, const Outcome& outcome) {
  LedgerEntry& entry = ledger_.entries[index];
  entry.after_ms.store(outcome.after ? outcome.after->count() : -1, std::memory_order_relaxed);
  LeaseState state = LeaseState::released;
  switch (outcome.kind) {
    case Outcome::Kind::done:
      state = LeaseState::done;
      break;
    case Outcome::Kind::retry:
      state = LeaseState::retry;
      break;
    case Outcome::Kind::dead:
      state = LeaseState::dead;
      break;
    case Outcome::Kind::released:
      state = LeaseState::released;
      break;
  }
  entry.state.store(state);
}

void LedgerWriter::settled(std::size_t index) {
  ledger_.entries[index].state.store(LeaseState::none);
}

void LedgerWriter::clear() {
  ledger_.count.store(0);
  ledger_.claiming_token.store(0);
}

LedgerReading read_ledger(const Ledger& ledger) {
  LedgerReading reading;
  reading.claiming_token = ledger.claiming_token.load();
  reading.blame = ledger.blame.load() == 1;
  for (const auto& c : ledger.cause) {
    const char value = c.load(std::memory_order_relaxed);
    if (value == '\0') break;
    // Only the supervisor writes here, but a stray writer must not put bytes into SQL text.
    reading.cause.push_back(value >= ' ' && value <= '~' ? value : '?');
  }
  const std::size_t count = std::min<std::size_t>(ledger.count.load(), kMaxBatch);
  for (std::size_t i = 0; i < count; ++i) {
    const LedgerEntry& entry = ledger.entries[i];
    const auto state = entry.state.load();
    if (state == LeaseState::none || state > LeaseState::released) continue;
    reading.entries.push_back({{entry.id.load(), entry.token.load()},
                               state,
                               entry.attempt.load(),
                               entry.after_ms.load()});
  }
  return reading;
}

void sign_ledger(Ledger& ledger, bool blame, const std::string& cause) {
  const std::size_t size = std::min(cause.size(), ledger.cause.size() - 1);
  for (std::size_t i = 0; i < size; ++i) ledger.cause[i].store(cause[i], std::memory_order_relaxed);
  ledger.cause[size].store('\0', std::memory_order_relaxed);
  ledger.blame.store(blame ? 1 : 0, std::memory_order_relaxed);
}

}  // namespace pgforeman
