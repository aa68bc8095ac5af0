#pragma once
// The low-water marks: how far the fleet's claims have come in each fresh lane, so that the next
// claim need not walk what is behind: leases, and (while anybody holds a snapshot) every message
// there was. Shared memory, and so a hint only: maintenance sweeps up what becomes claimable behind
// a mark, and says when it last did. Fork: after.

#include <span>

#include "base/clock.h"
#include "scoreboard/scoreboard.h"

namespace pgforeman {

/// From where the next claim looks: from the beginning while nobody sweeps behind the marks.
Marks marks_for_claim(const FleetBoard& board, TimePoint now);

/// A claim got these.
void raise_marks(FleetBoard& board, std::span<const Message> messages);

/// Maintenance: the marks as they stand. Anything may stand there.
Marks read_marks(const FleetBoard& board);
/// Maintenance: nothing was overlooked until now.
void note_sweep(FleetBoard& board, TimePoint now);
/// Maintenance: this mark is above all ids there ever were, which no claim has written. From the
/// beginning again, unless it moved meanwhile.
void forget_mark(FleetBoard& board, std::size_t priority, std::int64_t mark);

}  // namespace pgforeman
