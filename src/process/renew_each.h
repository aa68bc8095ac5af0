#pragma once
// Renews leases so that one that the database refuses to renew costs no other. Fork: after.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "queue/queue.h"

namespace pgforeman {

/// Ids of messages, but for those whose lease was renewed.
struct Renewed {
  std::vector<std::int64_t> lost;     ///< held under another token, or gone
  std::vector<std::int64_t> refused;  ///< the database renewed others, but not these
  std::vector<std::int64_t> not_tried;
  std::string reason;  ///< of the last refusal
};

/// Renews all in one call. If the database refuses that (a trigger, say): halves, then their
/// halves, for half a second; the rest is `not_tried`. Throws DatabaseError if no lease could be
/// renewed.
[[nodiscard]] Renewed renew_each(Queue& queue, std::span<const Lease> leases, Millis lease);

}  // namespace pgforeman
