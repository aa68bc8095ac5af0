#pragma once
// Settles messages so that one that the database refuses holds up no other. Fork: after.

#include <optional>
#include <span>
#include <vector>

#include "queue/queue.h"

namespace pgforeman {

/// What became of one message's settle.
struct Telling {
  std::optional<Settled> settled;
  bool locked = false;  ///< not settled, and to be told again later
  bool logged = false;  ///< the reason is in the log: not a lock
};

/// Settles all in one call. If the database refuses that (a trigger, say): those that are done in
/// one call, then the others one by one, for half a second; what is left is `locked`, to be settled
/// later. So is a message whose row is locked, or whose settle fails with an error that passes.
/// Neither settled nor locked: refused, which is logged; its lease ends by the visibility timeout.
/// Throws DatabaseError for anything else, and for a statement that took too long.
std::vector<Telling> settle_each(Queue& queue, std::span<const Settlement> settlements,
                                 const RetryRule& rule);

}  // namespace pgforeman
