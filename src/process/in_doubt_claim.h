#pragma once
// Releases the messages of a claim in doubt, as its answer never came. Called by its consumer, or
// by maintenance after the consumer's death. Fork: after.

#include <cstdint>
#include <optional>

#include "queue/queue.h"

namespace pgforeman {

/// As Queue::release_claim(). Returns the number of messages; 0 if the database refuses, which is
/// logged and not tried again: it may refuse for ever, and the visibility timeout releases them.
/// Throws DatabaseError if a new session may succeed.
std::int64_t release_in_doubt_claim(Queue& queue, const Claim& claim,
                                    const std::optional<Outcome>& crash, const RetryRule& rule);

}  // namespace pgforeman
