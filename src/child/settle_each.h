#pragma once
// How whoever settles gets past one message that the database refuses. Fork: after.

#include <optional>
#include <span>
#include <vector>

#include "queue/queue.h"

namespace pgforeman {

/// Settles all at once; where the database refuses that (somebody's trigger, say), one by one, so
/// that one message keeps no other from being settled. Nothing for a message that was refused: that
/// is logged, and its lease ends by the visibility timeout. Throws DatabaseError for anything else.
std::vector<std::optional<Settled>> settle_each(Queue& queue,
                                                std::span<const Settlement> settlements,
                                                const RetryRule& rule);

}  // namespace pgforeman
