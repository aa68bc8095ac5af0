#pragma once
// The sequence of message ids. After a restore or a failover it may give out ids that messages and
// dead letters have; Queue::tick() says so.

#include <cstdint>
#include <optional>

#include "queue/connection.h"

namespace pgforeman {

struct AdvancedIds {
  std::int64_t from = 0;  ///< the last id that was given out
  std::int64_t to = 0;    ///< what counts as that from now on
  bool moved = false;     ///< the database was restored, copied or taken over by a standby
};

/// Sets the sequence forward behind all ids there are, never back. Nothing when it is not behind,
/// or another session is at it. Throws DatabaseError.
std::optional<AdvancedIds> advance_ids(Connection& connection);

}  // namespace pgforeman
