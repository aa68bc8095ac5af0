#pragma once
// Low-water mark of each priority: claims skip fresh ids up to it, so that they do not scan leases
// and (while a snapshot is held) deleted messages. Shared memory, and so a hint only: maintenance
// sweeps below the marks, and records when it last did. Fork: after.

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <tuple>

#include "fleet/claimed_message.h"
#include "system/clock.h"

namespace pgforeman {

/// Writers: consumers raise marks (compare-and-swap), maintenance forgets them.
class LowWaterMarks {
 public:
  /// The marks for the next claim; 0, to scan from the beginning, unless swept in the last 3 s.
  Marks for_claim(TimePoint now) const;
  /// The marks as they stand, at least 0.
  Marks read() const;
  /// A claim got these.
  void raise(std::span<const ClaimedMessage> messages);
  /// Maintenance: records that the sweeps were up to date at `now`.
  void record_sweep(TimePoint now) { swept_at_ms_.store(to_ms(now)); }
  /// Maintenance: this mark is above all ids there ever were, so no claim wrote it. From the
  /// beginning again, unless it moved meanwhile.
  void forget(std::size_t priority, std::int64_t mark);

 private:
  std::array<std::atomic<std::int64_t>, std::tuple_size_v<Marks>> ids_;
  std::atomic<std::int64_t> swept_at_ms_;  ///< monotonic; 0: never
};

}  // namespace pgforeman
