#pragma once
// Settles messages so that one that the database refuses holds up no other, and counts them.
// Fork: after.

#include <span>
#include <vector>

#include "fleet/slot.h"
#include "options/options.h"
#include "queue/queue.h"

namespace pgforeman {

/// Settles all in one call. If the database refuses that (a trigger, say): halves, then their
/// halves, for half a second, without locked rows; the rest is `not_tried`. A message that is
/// `failed` or `refused` by itself is logged with the reason. In the order of `settlements`. Throws
/// DatabaseError for anything else, and for a statement that took too long.
[[nodiscard]] std::vector<Settled> settle_each(Queue& queue,
                                               std::span<const Settlement> settlements,
                                               const RetryRule& rule);

/// How this fleet retries.
inline RetryRule retry_rule(const Options& options) {
  return {options.max_attempts, options.retry_backoff, options.retry_backoff_max,
          options.max_crashes};
}

/// Counts a settled message in the child's slot. One that is to be settled later counts then.
void count_settled(Slot& slot, Settled settled);

}  // namespace pgforeman
