#pragma once
// A message with what its consumer needs to settle it. Plain values; no thread-safety of their own.

#include <array>
#include <cstdint>

#include "pgforeman/message.h"

namespace pgforeman {

/// What a claim writes into its rows. Never used twice.
enum class Token : std::int64_t { none = 0 };

/// The right to settle one message: the row's id and the token its claim wrote. A settle
/// changes nothing if its token is no longer the row's.
struct Lease {
  std::int64_t id = 0;
  Token token = Token::none;
};

/// Low-water marks, one a priority, the most urgent first: claims skip fresh ids up to it. A hint:
/// what becomes claimable below is moved to where claims scan first.
using Marks = std::array<std::int64_t, 4>;

/// A claim as it is sent. Its token finds its rows, which are above the marks, if the answer is
/// lost.
struct Claim {
  Token token = Token::none;
  Marks marks{};
};

/// One claimed row. Owned by the consumer until it is settled.
struct ClaimedMessage : Message {
  Token token = Token::none;
  int lane = 0;  ///< 2*priority + 1 fresh, 2*priority otherwise; claims run in its order
  std::int64_t unfinished_claims = 0;  ///< earlier claims that ended without a result

  Lease lease() const { return {id, token}; }
};

}  // namespace pgforeman
