#pragma once
// A claimed message with the values needed to settle it. Plain values; not thread-safe.

#include <cstdint>

#include "fleet/place.h"
#include "pgforeman/message.h"

namespace pgforeman {

/// The number that a claim writes into its rows. A token is never used twice.
enum class Token : std::int64_t { none = 0 };

/// The right to settle one message: the row's id and the token that its claim wrote. A settle
/// changes nothing if the row has another token by then.
struct Lease {
  std::int64_t id = 0;
  Token token = Token::none;
};

/// A claim as it is sent. If the answer is lost, its rows are found by the token, above the marks.
struct Claim {
  Token token = Token::none;
  Marks marks{};
};

/// One claimed row. Owned by the consumer until it is settled.
struct ClaimedMessage : Message {
  Token token = Token::none;
  std::int64_t place = 0;
  std::int64_t unfinished_claims = 0;  ///< earlier claims that ended without a result
  bool has_payload = true;             ///< false: it has to be read before the run

  Lease lease() const { return {id, token}; }
};

}  // namespace pgforeman
