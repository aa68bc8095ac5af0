#pragma once
// What to do about a claim whose answer was never seen. For both that find one: the consumer
// itself, or maintenance after the consumer's death. Fork: after.

#include <cstdint>
#include <optional>

#include "queue/queue.h"

namespace pgforeman {

struct InDoubtClaim {
  std::int64_t token;
  Marks marks;  ///< from where it looked
};

/// Hands back what is held under its token; with `crash`, after blaming what was claimed too often.
/// Returns the number of messages, 0 when the database refuses: that is logged and not worth a
/// second try, because it may be refused for ever, and the visibility timeout ends it. Throws
/// DatabaseError when another session may do better.
std::int64_t release_in_doubt_claim(Queue& queue, const InDoubtClaim& claim,
                                    const std::optional<Outcome>& crash, const RetryRule& rule);

}  // namespace pgforeman
