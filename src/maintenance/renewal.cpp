#include "maintenance/renewal.h"

#include <algorithm>
#include <unordered_set>
#include <utility>
#include <vector>

#include "fleet/ledger.h"
#include "process/renew_each.h"
#include "system/log.h"

namespace pgforeman {
namespace {

// Some milliseconds a statement. Only many children with large batches hold more leases.
constexpr std::size_t kLeasesPerStatement = 10'000;
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
  std::unordered_set<std::int64_t> lost_ids, failed;
  std::int64_t refused_id = 0;
  std::string reason;
  for (std::size_t at = 0; at < leases.size(); at += kLeasesPerStatement) {
    const auto some =
        std::span(leases).subspan(at, std::min(kLeasesPerStatement, leases.size() - at));
    Renewed renewed = renew_each(tools_.session.queue(), some, lease_);
    lost_ids.insert(renewed.lost.begin(), renewed.lost.end());
    failed.insert(renewed.refused.begin(), renewed.refused.end());
    tools_.queue().refused.add(RefusedChange::renew, renewed.refused.size());
    if (refused_id == 0 && !renewed.refused.empty()) refused_id = renewed.refused.front();
    failed.insert(renewed.not_tried.begin(), renewed.not_tried.end());
    if (!renewed.reason.empty()) reason = std::move(renewed.reason);
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
                                  [&](const Lease& lease) { return failed.contains(lease.id); });
    if (all) record_renewal(board.ledger(ledger), now, lost);
  }
  log::debug("leases renewed", {{"leases", leases.size()}, {"lost", lost.size()}});
  if (reason.empty()) return;
  next_ = now + kAgain;
  if (refused_id != 0) reason = "message " + std::to_string(refused_id) + ": " + reason;
  throw DatabaseError(DatabaseError::Kind::rejected, reason);
}

}  // namespace pgforeman
