#include "process/in_doubt_claim.h"

#include "system/log.h"

namespace pgforeman {

std::int64_t release_in_doubt_claim(Queue& queue, const Claim& claim,
                                    const std::optional<Outcome>& crash, const RetryRule& rule) {
  try {
    return queue.release_claim(claim, crash, rule);
  } catch (const DatabaseError& error) {
    if (!error.may_work_later() && error.kind() != DatabaseError::Kind::rejected) throw;
    log::warn("claim in doubt not released, its messages wait for VISIBILITY_TIMEOUT",
              {{"reason", error.what()}});
    return 0;
  }
}

}  // namespace pgforeman
