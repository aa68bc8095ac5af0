#pragma once
// Settles messages so that one that the database refuses holds up no other. Fork: after.

#include <span>
#include <vector>

#include "queue/queue.h"

namespace pgforeman {

/// Settles all in one call. If the database refuses that (a trigger, say): halves, then their
/// halves, for half a second, without locked rows; what is left is `locked`. A message that is
/// `failed` or `refused` by itself is logged with the reason. In the order of `settlements`. Throws
/// DatabaseError for anything else, and for a statement that took too long.
[[nodiscard]] std::vector<Settled> settle_each(Queue& queue,
                                               std::span<const Settlement> settlements,
                                               const RetryRule& rule);

}  // namespace pgforeman
