#pragma once
// How whoever settles gets past one message that the database refuses, or whose row somebody has
// locked. Fork: after.

#include <optional>
#include <span>
#include <vector>

#include "queue/queue.h"

namespace pgforeman {

/// What telling the queue of one message came to.
struct Telling {
  std::optional<Settled> settled;
  bool locked = false;  ///< not settled, and to be told again later
  bool logged = false;  ///< the reason is in the log: not a lock
};

/// Settles all at once; where a row is locked, all others; where the database refuses that (for a
/// trigger, say), halves of them, so that one message keeps no other from being settled. Neither
/// settled nor locked: it was refused; that is logged, and its lease ends by the visibility
/// timeout. What fails with an error that passes counts as locked. Takes about a second at most:
/// what that is not enough for is said to be locked. Throws DatabaseError for anything else, and
/// for a statement that took too long.
std::vector<Telling> settle_each(Queue& queue, std::span<const Settlement> settlements,
                                 const RetryRule& rule);

}  // namespace pgforeman
