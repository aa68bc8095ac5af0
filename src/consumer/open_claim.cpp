#include "consumer/open_claim.h"

#include "process/in_doubt_claim.h"
#include "process/settle_each.h"

namespace pgforeman {
namespace {

// Longer than a statement may take.
constexpr Millis kSecondRelease{13'000};

}  // namespace

void OpenClaim::begin(const Claim& claim) {
  open_ = claim;
  error_.clear();
  tools_.batch.begin_claim(claim);
}

void OpenClaim::rolled_back() {
  open_.reset();
  tools_.batch.end_claim();
}

void OpenClaim::release_in_doubt(TimePoint now) {
  if (open_) release_open();
  if (late_ && now >= late_->at) release_again();
}

/// A lost answer counts against no message. An answer that could not be read counts as a crash: a
/// message that causes it must not come back for ever.
void OpenClaim::release_open() {
  tools_.loop.enter(Phase::settling);
  std::optional<Outcome> crash;
  if (!error_.empty()) {
    crash = Outcome{Outcome::Kind::crash};
    crash->error = "its claim failed: " + error_;
    crash->evidence.cause = Cause::consumer_crash;
  }
  release_in_doubt_claim(tools_.session.queue(), *open_, crash, retry_rule(tools_.options));
  if (!crash) late_ = {*open_, Clock::now() + kSecondRelease};
  rolled_back();
}

void OpenClaim::release_again() {
  tools_.loop.enter(Phase::settling);
  release_in_doubt_claim(tools_.session.queue(), late_->claim, std::nullopt,
                         retry_rule(tools_.options));
  late_.reset();
}

void OpenClaim::leave_to_maintenance() {
  if (open_) return;  // the ledger still has it
  tools_.batch.end_claim();
  if (late_) tools_.batch.begin_claim(late_->claim);
}

}  // namespace pgforeman
