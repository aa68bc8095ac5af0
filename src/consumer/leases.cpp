// How a consumer keeps the leases of its batch, and finds out that one is gone.

#include <algorithm>

#include "child/settled.h"
#include "consumer/consumer.h"
#include "consumer/settle_log.h"

namespace pgforeman {
namespace {

// While a handler runs without a session, how often a new one is tried for the next renewal.
constexpr Millis kReconnectWhileRunning{1000};

}  // namespace

/// While a message runs: maintenance renews the leases; whoever sees that it does not, helps
/// itself.
void Consumer::look_after_lease(std::size_t running) {
  note_lost(running);
  const TimePoint now = Clock::now();
  if (!batch_[running].lost && lease_is_old(now) && now >= try_renewal_at_) {
    keep_lease_while_running(running);
    try_renewal_at_ = Clock::now() + kReconnectWhileRunning;
  }
}

/// Half of the lease is over, and maintenance, which renews at a third of it, has not.
bool Consumer::lease_is_old(TimePoint now) {
  if (const auto renewed = ledger_.renewed(leased_at_, now)) leased_at_ = *renewed;
  return now - leased_at_ > options_.visibility_timeout / 2;
}

/// What maintenance found out about the lease of a message that waits or runs.
void Consumer::note_lost(std::size_t index) {
  if (batch_[index].lost || !ledger_.lost(index)) return;
  lease_lost(batch_[index]);
  if (!batch_[index].started) ledger_.settled(index);
}

/// An outage meanwhile is no reason to end the handler: when the session is back the token tells
/// whether the message is still ours.
void Consumer::keep_lease_while_running(std::size_t index) {
  try {
    if (open_session_while_running()) renew(index);
  } catch (const DatabaseError& error) {
    session_.drop(error);
  }
}

/// False when it cannot be had.
bool Consumer::open_session_while_running() {
  if (session_.connected()) return true;
  // Whatever the connect takes must not be held against the message.
  loop_.enter(Phase::running);
  return session_.try_connect();
}

/// Extends what is not yet finished, from `from` on.
void Consumer::renew(std::size_t from) {
  std::vector<Lease> leases;
  for (std::size_t i = from; i < batch_.size(); ++i) {
    const bool over = batch_[i].started && !batch_[i].running;
    if (!batch_[i].lost && !over) leases.push_back(batch_[i].message.lease);
  }
  const TimePoint asked_at = Clock::now();
  const auto lost = session_.queue().renew(leases, options_.visibility_timeout);
  leased_at_ = asked_at;
  session_.worked();
  for (std::size_t i = from; i < batch_.size(); ++i) {
    const auto id = batch_[i].message.lease.id;
    if (std::find(lost.begin(), lost.end(), id) == lost.end()) continue;
    lease_lost(batch_[i]);
    if (!batch_[i].started) ledger_.settled(i);
  }
}

void Consumer::lease_lost(Held& held) {
  if (held.lost) return;
  held.lost = true;
  count_cause(context_.scoreboard->fleet(), Cause::lease_lost);
  count_settled(loop_.slot().slot(), Settled::lost_lease);
  log_settled(held.message, held.outcome, Settled::lost_lease, retry_rule(options_));
}

}  // namespace pgforeman
