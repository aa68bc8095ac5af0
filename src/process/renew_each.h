#pragma once
// Renews leases. One that the database refuses to renew keeps no other from being renewed. Fork:
// after.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "queue/queue.h"

namespace pgforeman {

/// Ids of the messages with a lease that was not renewed.
struct Renewed {
  std::vector<std::int64_t> lost;     ///< held under another token, or gone
  std::vector<std::int64_t> refused;  ///< the database renewed others, but not these
  std::vector<std::int64_t> not_tried;
  std::string reason;  ///< of the last refusal
};

/// Renews all in one call. If the database refuses that (a trigger, say), tries halves, then their
/// halves, for half a second; the rest is `not_tried`. Throws DatabaseError if no lease was
/// renewed, or if the session failed.
[[nodiscard]] Renewed renew_each(Queue& queue, std::span<const Lease> leases, Millis lease);

/// True if the database changes the message's row in this way: what else it refuses about the
/// message is not the server's fault.
[[nodiscard]] bool can_be_renewed(Queue& queue, const Lease& lease, Millis time);

}  // namespace pgforeman
