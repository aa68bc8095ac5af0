#include "consumer/lease_keeper.h"

#include <algorithm>

#include "consumer/settle_log.h"
#include "process/renew_each.h"
#include "process/settle_each.h"
#include "system/log.h"

namespace pgforeman {
namespace {

// Time between renewals that fail while a handler runs.
constexpr Millis kRenewAgain{1000};

}  // namespace

void LeaseKeeper::check(std::size_t index, TimePoint now) {
  record_lost(index);
  if (!tools_.batch[index].is_lost() && is_old(now)) renew(index);
}

void LeaseKeeper::check_running(std::size_t running) {
  record_lost(running);
  const TimePoint now = Clock::now();
  if (tools_.batch[running].is_lost() || !is_old(now) || now < try_at_) return;
  try {
    if (tools_.session.reconnect_while_running()) renew(running);
  } catch (const DatabaseError& error) {
    // A lease that the database refuses to renew costs no session.
    if (error.is_of_session()) tools_.session.drop(error);
  }
  try_at_ = Clock::now() + kRenewAgain;
}

/// True if half of the lease's time is over without a renewal; maintenance renews at a third.
bool LeaseKeeper::is_old(TimePoint now) {
  if (const auto renewed = ledger_.renewed(leased_at_, now)) leased_at_ = *renewed;
  return now - leased_at_ > tools_.options.visibility_timeout / 2;
}

/// Marks the message as lost if maintenance found that when it renewed the lease.
void LeaseKeeper::record_lost(std::size_t index) {
  if (!tools_.batch[index].is_lost() && ledger_.lost(index)) lose(index);
}

/// Extends the leases of messages that have not ended, from `from` on.
void LeaseKeeper::renew(std::size_t from) {
  const auto leases = tools_.batch.leases_from(from);
  const TimePoint asked_at = Clock::now();
  Renewed renewed;
  try {
    renewed = renew_each(tools_.session.queue(), leases, tools_.options.visibility_timeout);
  } catch (const DatabaseError& error) {
    // All were refused: those that wait are lost once their leases have ended.
    const bool ended = asked_at >= leased_at_ + tools_.options.visibility_timeout;
    if (error.is_of_session() || !ended || !tools_.batch[from].waits()) throw;
    for (std::size_t i = from; i < tools_.batch.size(); ++i) {
      if (tools_.batch[i].waits()) lose(i);
    }
    return;
  }
  tools_.session.worked();
  const auto among = [](const std::vector<std::int64_t>& ids, const LeasedMessage& m) {
    return std::find(ids.begin(), ids.end(), m.message.id) != ids.end();
  };
  for (std::size_t i = from; i < tools_.batch.size(); ++i) {
    const LeasedMessage& m = tools_.batch[i];
    if (among(renewed.refused, m)) {
      tools_.queue().refused.add(RefusedChange::renew, 1);
      const log::MessageScope scope(m.message.id, m.message.attempt);
      log::error("lease not renewed, the database refuses to", {{"reason", renewed.reason}});
    }
    // If the database refuses to renew a waiting message's lease, the message counts as lost:
    // another consumer may hold it by the time it would run. One that runs goes on until its lease
    // is lost.
    const bool running = m.state == MessageState::running;
    if ((m.waits() && among(renewed.refused, m)) ||
        ((m.waits() || running) && among(renewed.lost, m))) {
      lose(i);
    }
  }
  if (renewed.not_tried.empty()) leased_at_ = asked_at;
  if (among(renewed.not_tried, tools_.batch[from])) {
    throw DatabaseError(DatabaseError::Kind::transient, renewed.reason);
  }
}

void LeaseKeeper::lose(std::size_t index) {
  tools_.batch.lose(index);
  tools_.fleet().count(Cause::lease_lost);
  count_settled(tools_.loop.slot(), Settled::lost_lease);
  log_settled(tools_.batch[index].message, std::nullopt, Settled::lost_lease,
              retry_rule(tools_.options));
}

}  // namespace pgforeman
