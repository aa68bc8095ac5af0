#pragma once
// Turns for claims. Claims of one fleet that run at the same time try for the same rows and walk
// over each other's locks: 256 consumers at once make a twentieth of the messages of eight. So at
// most ClaimTurns::kTurns claims of a fleet run at a time, where they claim more than one message.
//
// Shared memory, written by all consumers (compare-and-swap; the values are times alone, so relaxed
// order would do). Any value may be found there: a turn ends by its time. Fork: after.

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace pgforeman {

struct ClaimTurns {
  /// The best of 2, 4 and 8 for 8 to 256 consumers (benchmark scenario `children`).
  static constexpr std::size_t kTurns = 4;
  /// A turn that is not given back, as its consumer died or was stopped, ends after so long.
  static constexpr Millis kLength{20};

  std::array<std::atomic<std::int64_t>, kTurns> until_ms;  ///< monotonic; 0: free
};

/// A consumer's turn; given back when it is destroyed.
class ClaimTurn {
 public:
  /// Nothing: all turns are taken.
  static std::optional<ClaimTurn> take(ClaimTurns& turns, TimePoint now);
  ClaimTurn(ClaimTurn&& other) noexcept;
  ClaimTurn& operator=(ClaimTurn&&) = delete;
  ~ClaimTurn();

 private:
  ClaimTurn(std::atomic<std::int64_t>& turn, std::int64_t until_ms)
      : turn_(&turn), until_ms_(until_ms) {}

  std::atomic<std::int64_t>* turn_;
  std::int64_t until_ms_;
};

}  // namespace pgforeman
