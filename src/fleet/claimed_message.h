#pragma once
// A message with what its consumer needs to settle it. Plain values; no thread-safety of their own.

#include <array>
#include <cstdint>

#include "pgforeman/message.h"

namespace pgforeman {

/// The right to settle one message: the row's id and the token its claim wrote. A settle whose
/// token is no longer the row's changes nothing.
struct Lease {
  std::int64_t id = 0;
  std::int64_t token = 0;
};

/// Low-water marks. Of each priority, the most urgent first: up to which id its fresh messages need
/// not be looked for. A hint: whatever becomes claimable there is moved to where claims look first.
using Marks = std::array<std::int64_t, 4>;

/// One claimed row. Owned by the consumer until it is settled.
struct ClaimedMessage : Message {
  std::int64_t token = 0;
  int lane = 0;  ///< 2*priority + 1 fresh, 2*priority otherwise; claims run in its order
  std::int64_t unfinished_claims = 0;  ///< earlier claims under which it may have run to no end

  Lease lease() const { return {id, token}; }
};

}  // namespace pgforeman
