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

/// The same for one of many claims that take `wanted` messages of `priority` each, one upon the
/// other: it begins behind those that are under way. The first `wanted` messages above an id M have
/// at least `wanted` ids, so whoever begins at M + wanted leaves out nothing that it could have got.
/// Changes nothing while nobody sweeps behind the marks.
void begin_apart(FleetBoard& board, Marks& marks, std::size_t priority, int wanted);
/// A claim found less than it wanted: the next ones begin at the marks.
void begin_together(FleetBoard& board, std::size_t priority);

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
