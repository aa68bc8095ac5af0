#pragma once
// Releases a claim in doubt, whose answer never came. Used by its consumer, or by maintenance after
// the consumer's death. Fork: after.

#include <cstdint>
#include <optional>

#include "queue/queue.h"

namespace pgforeman {

/// Releases what is held under its token; with `crash`, after blaming what was claimed too often.
/// Returns the number of messages, 0 when the database refuses: that is logged and not worth a
/// second try, because it may be refused for ever, and the visibility timeout ends it. Throws
/// DatabaseError when another session may do better.
std::int64_t release_in_doubt_claim(Queue& queue, const Claim& claim,
                                    const std::optional<Outcome>& crash, const RetryRule& rule);

}  // namespace pgforeman
