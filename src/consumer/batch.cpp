#include "consumer/batch.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace pgforeman {
namespace {

// How long a message waits after a settle that did not settle it.
constexpr Millis kDeferredFor{1000};
constexpr Millis kDeferredForMost{10'000};

}  // namespace

bool Batch::any_waits() const {
  return std::any_of(messages_.begin(), messages_.end(), [](const auto& m) { return m.waits(); });
}

bool Batch::any_deferred() const {
  return std::any_of(messages_.begin(), messages_.end(),
                     [](const auto& m) { return m.is_deferred(); });
}

std::vector<Lease> Batch::leases_from(std::size_t from) const {
  std::vector<Lease> leases;
  for (std::size_t i = from; i < messages_.size(); ++i) {
    const auto state = messages_[i].state;
    if (state == MessageState::waiting || state == MessageState::running) {
      leases.push_back(messages_[i].message.lease());
    }
  }
  return leases;
}

bool Batch::can_settle_with_claim() const {
  if (room() == 0) return false;
  std::optional<Token> token;
  for (const LeasedMessage& m : messages_) {
    if (m.waits()) return false;
    if (!m.is_unsettled()) continue;
    const auto its = m.message.token;
    if (m.outcome->kind != Outcome::Kind::done || m.state == MessageState::in_doubt) return false;
    if (m.is_deferred()) return false;  // most likely its row is still locked
    if (token.value_or(its) != its) return false;
    token = its;
  }
  return messages_.empty() || token;  // else there is something to forget
}

void Batch::add(std::vector<ClaimedMessage> messages) {
  ledger_.end_claim(messages);
  for (auto& message : messages) messages_.emplace_back().message = std::move(message);
}

void Batch::start(std::size_t index, std::int64_t wall_ms, TimePoint deadline) {
  ledger_.start(index, wall_ms, deadline);
  change(index, MessageEvent::start).started_ms = wall_ms;
}

void Batch::set_payload(std::size_t index, std::string payload, std::string headers) {
  ClaimedMessage& message = messages_[index].message;
  message.payload = std::move(payload);
  message.headers = std::move(headers);
  message.has_payload = true;
}

void Batch::end(std::size_t index, Outcome outcome) {
  ledger_.finish(index, outcome);
  change(index, MessageEvent::end).outcome = std::move(outcome);
}

void Batch::lose(std::size_t index) {
  change(index, MessageEvent::lose);
}

void Batch::begin_settle(Indexes indexes) {
  for (const std::size_t i : indexes) change(i, MessageEvent::settle_sent);
}

void Batch::unanswered(Indexes indexes) {
  for (const std::size_t i : indexes) change(i, MessageEvent::unanswered);
}

void Batch::not_settled(Indexes indexes) {
  for (const std::size_t i : indexes) change(i, MessageEvent::not_settled);
}

void Batch::defer(std::size_t index, TimePoint now) {
  LeasedMessage& m = change(index, MessageEvent::not_settled);
  m.deferred_for = std::clamp(2 * m.deferred_for, kDeferredFor, kDeferredForMost);
  m.settle_at = now + m.deferred_for;
}

void Batch::settled(std::size_t index) {
  change(index, MessageEvent::settled).outcome.reset();
}

bool Batch::forget_settled() {
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    if (messages_[i].waits() || messages_[i].runs()) return false;
    if (messages_[i].is_unsettled()) kept.push_back(i);
  }
  if (kept.size() == messages_.size()) return true;
  for (std::size_t to = 0; to < kept.size(); ++to) {
    if (kept[to] != to) messages_[to] = std::move(messages_[kept[to]]);
  }
  messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(kept.size()), messages_.end());
  ledger_.keep(kept);
  return true;
}

LeasedMessage& Batch::change(std::size_t index, MessageEvent event) {
  LeasedMessage& m = messages_.at(index);
  const auto next = next_state(m.state, event);
  if (!next) {
    throw std::logic_error("message " + std::to_string(m.message.id) + " is " +
                           std::string(to_string(m.state)) + ": event '" +
                           std::string(to_string(event)) + "' cannot happen");
  }
  m.state = *next;
  ledger_.set_state(index, m.state);
  return m;
}

}  // namespace pgforeman
