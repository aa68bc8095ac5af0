#pragma once
// The low-water marks: how far the fleet's claims have come in each fresh lane, so that the next
// claim need not walk what is behind: leases, and (while a snapshot is held) every message there
// was. Shared memory, and so a hint only: maintenance sweeps up what becomes claimable behind a
// mark, and says when it last did. Fork: after.

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
  /// From where the next claim looks: from the beginning unless a sweep was made lately.
  Marks for_claim(TimePoint now) const;
  /// The marks as they stand, at least 0.
  Marks read() const;
  /// A claim got these.
  void raise(std::span<const ClaimedMessage> messages);
  /// Maintenance: nothing was left behind until now.
  void record_sweep(TimePoint now) { swept_at_ms_.store(to_ms(now)); }
  /// Maintenance: this mark is above all ids there ever were, so no claim wrote it. From the
  /// beginning again, unless it moved meanwhile.
  void forget(std::size_t priority, std::int64_t mark);

 private:
  std::array<std::atomic<std::int64_t>, std::tuple_size_v<Marks>> ids_;
  std::atomic<std::int64_t> swept_at_ms_;  ///< monotonic; 0: never
};

}  // namespace pgforeman
