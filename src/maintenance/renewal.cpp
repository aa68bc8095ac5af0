#include "maintenance/renewal.h"

#include <algorithm>
#include <unordered_set>
#include <utility>
#include <vector>

#include "fleet/ledger.h"
#include "system/log.h"

namespace pgforeman {
namespace {

// Some milliseconds a statement. Only many children with large batches hold more leases.
constexpr std::size_t kLeasesPerStatement = 10'000;
constexpr Millis kPatience{500};
constexpr Millis kAgain{1000};  // after a failure

}  // namespace

Renewal::Renewal(const MaintenanceTools& tools)
    : tools_(tools),
      lease_(tools.context.options->visibility_timeout),
      next_(Clock::now() + lease_ / 3) {}

void Renewal::run_once() {
  const TimePoint now = Clock::now();
  next_ = now + lease_ / 3;
  Scoreboard& board = *tools_.context.scoreboard;
  std::vector<Lease> leases;
  std::vector<std::pair<LedgerId, std::size_t>> ledgers;  // and where their leases end
  failed_.clear();
  for (int i = 0; i < kLedgers; ++i) {
    const LedgerId id{i};
    if (board.ledger_use(id).load() != LedgerUse::owned) continue;
    const auto slot = board.ledger(id).slot.load();
    if (slot < 0 || slot >= kMaxConsumers) continue;
    if (Beat{board.slot(slot).beat.load()}.deadline() < now) continue;
    const auto held = leases_to_renew(board.ledger(id), now - lease_ / 6, now);
    if (held.empty()) continue;
    leases.insert(leases.end(), held.begin(), held.end());
    ledgers.emplace_back(id, leases.size());
  }
  if (leases.empty()) return;
  tools_.loop.enter(Phase::settling);
  std::unordered_set<std::int64_t> lost_ids;
  for (std::size_t at = 0; at < leases.size(); at += kLeasesPerStatement) {
    const auto some =
        std::span(leases).subspan(at, std::min(kLeasesPerStatement, leases.size() - at));
    for (const auto id : renew_each(some, Clock::now() + kPatience)) lost_ids.insert(id);
  }
  tools_.session.worked();
  std::vector<Lease> lost;
  std::copy_if(leases.begin(), leases.end(), std::back_inserter(lost),
               [&](const Lease& lease) { return lost_ids.contains(lease.id); });
  std::size_t begin = 0;
  for (const auto& [ledger, end] : ledgers) {
    const auto held = std::span(leases).subspan(begin, end - begin);
    begin = end;
    // Else its consumer renews by itself, in time.
    const bool all = std::none_of(held.begin(), held.end(),
                                  [&](const Lease& lease) { return failed_.contains(lease.id); });
    if (all) record_renewal(board.ledger(ledger), now, lost);
  }
  log::debug("leases renewed", {{"leases", leases.size()}, {"lost", lost.size()}});
  if (failure_.empty()) return;
  next_ = now + kAgain;
  throw DatabaseError(DatabaseError::Kind::rejected, std::exchange(failure_, {}));
}

/// Renews leases; returns the ids of the lost ones. If the database refuses to, perhaps because of
/// one of them: halves, then their halves, until the time is over. The others wait for the next
/// renewal.
std::vector<std::int64_t> Renewal::renew_each(std::span<const Lease> leases, TimePoint until) {
  try {
    return tools_.session.queue().renew(leases, lease_);
  } catch (const DatabaseError& error) {
    if (error.is_of_session()) throw;
    if (leases.size() == 1 || Clock::now() >= until) {
      failure_ = error.what();
      for (const Lease& lease : leases) failed_.insert(lease.id);
      return {};
    }
  }
  std::vector<std::int64_t> lost = renew_each(leases.first(leases.size() / 2), until);
  for (const auto id : renew_each(leases.subspan(leases.size() / 2), until)) lost.push_back(id);
  return lost;
}

}  // namespace pgforeman
