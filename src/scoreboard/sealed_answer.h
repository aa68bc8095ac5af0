#pragma once
// The answer to a claim on its way from one consumer to another through shared memory. A hash over
// all of it, which is checked on a private copy, keeps whatever else is written there from being
// taken for a message. Fork: after.

#include <array>
#include <cstdint>
#include <optional>

#include "pgforeman/message.h"

namespace pgforeman {

struct ClaimAnswer {
  std::optional<Message> message;
  bool fits = true;         ///< else its payload and headers are still in the database
  bool look_again = false;  ///< there was none where that claim looked, but perhaps before
};

/// As it lies in shared memory. Written and read by one at a time.
struct SealedAnswer {
  static constexpr std::size_t kRoom = 16 * 1024;
  std::uint64_t seal;
  struct Head {
    std::int64_t token;                              ///< of the claim that this answers
    std::int64_t id, fence, fruitless, enqueued_us;  ///< id 0: there was no message
    std::int64_t lane, attempt, payload_size, headers_size;
    std::int64_t look_again, fits;  ///< 0 or 1
  } head;
  std::array<char, kRoom> text;
};

/// `message` may be null: there was none. One without a payload is a large one, which the database
/// kept.
void write_answer(SealedAnswer& to, std::int64_t token, const Message* message, bool look_again);

/// Nothing when what stands there is no answer to that claim.
std::optional<ClaimAnswer> read_answer(const SealedAnswer& from, std::int64_t token);

}  // namespace pgforeman
