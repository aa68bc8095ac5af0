#pragma once
// Low-water marks, one per lane: claims skip places up to the mark. So claims do not scan leased
// messages or, while a snapshot is held, deleted ones. In shared memory, so only a hint:
// maintenance sweeps below the marks, and records when it last did. Fork: after.

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "fleet/claimed_message.h"
#include "system/clock.h"

namespace pgforeman {

/// Writers: consumers and maintenance raise marks (compare-and-swap), maintenance forgets them.
class LowWaterMarks {
 public:
  /// Returns the marks for the next claim; all 0 (scan everything) if not swept in the last 3 s.
  Marks for_claim(TimePoint now) const;
  /// Returns the stored marks, each from 0 to kMaxNumber.
  Marks read() const;
  /// False until the first sweep of the fleet.
  bool swept() const { return swept_at_ms_.load() != 0; }
  /// Raises the marks to the messages that a claim got.
  void raise(std::span<const ClaimedMessage> messages);
  void raise(std::size_t lane, std::int64_t number);
  /// Maintenance: records that the sweeps were up to date at `now`.
  void record_sweep(TimePoint now) { swept_at_ms_.store(to_ms(now)); }
  /// Maintenance: resets a mark to 0 that is above all numbers ever drawn, so no claim wrote it.
  /// Does nothing if the mark is no longer `mark`.
  void forget(std::size_t lane, std::int64_t mark);

 private:
  std::array<std::atomic<std::int64_t>, kLanes> numbers_;
  std::atomic<std::int64_t> swept_at_ms_;  ///< monotonic; 0: never
};

}  // namespace pgforeman
