#pragma once
// A message with what its consumer needs to settle it. Plain values; no thread-safety of their own.

#include <array>
#include <cstdint>

#include "pgforeman/message.h"

namespace pgforeman {

/// The right to settle one message: the row's id and the token its claim wrote. A settle
/// changes nothing if its token is no longer the row's.
struct Lease {
  std::int64_t id = 0;
  std::int64_t token = 0;
};

/// Low-water marks, one a priority, the most urgent first: claims skip fresh ids up to it. A hint:
/// what becomes claimable below is moved to where claims scan first.
using Marks = std::array<std::int64_t, 4>;

/// One claimed row. Owned by the consumer until it is settled.
struct ClaimedMessage : Message {
  std::int64_t token = 0;
  int lane = 0;  ///< 2*priority + 1 fresh, 2*priority otherwise; claims run in its order
  std::int64_t unfinished_claims = 0;  ///< earlier claims that ended without a result

  Lease lease() const { return {id, token}; }
};

}  // namespace pgforeman
