#pragma once
// The low-water marks: how far the fleet's claims have come in each fresh lane, so that the next
// claim need not walk what is behind: leases, and (while anybody holds a snapshot) every message
// there was. Shared memory, and so a hint only: maintenance sweeps up what becomes claimable behind
// a mark, and says when it last did. Fork: after.

#include <optional>
#include <span>

#include "base/clock.h"
#include "scoreboard/scoreboard.h"

namespace pgforeman {

/// From where the next claim looks: from the beginning while nobody sweeps behind the marks.
Marks marks_for_claim(const FleetBoard& board, TimePoint now);

// Claims that come one upon the other and all begin at the marks try for the same rows, walk over
// those that others have locked, and leave locks of their own on them. So while there is plenty in
// a lane each begins behind those that are under way. It leaves out nothing that it could have got:
// the first n messages above an id M have at least n ids, so whoever takes them takes all up to
// M + n. Should it fail, what it would have taken is behind a mark.

/// For a claim of `wanted` messages: where there is plenty (the priority is returned), it begins
/// behind the others.
std::optional<std::size_t> begin_apart(FleetBoard& board, Marks& marks, int wanted, TimePoint now);
/// A claim found all it wanted, in this lane alone.
void note_plenty(FleetBoard& board, std::size_t priority, TimePoint now);
/// A claim that began at the marks got these. What it took of those for whom there is plenty makes
/// one of them take what the next has counted as its own, and so on: for ever, unless it is added.
void note_beside(FleetBoard& board, std::span<const Message> messages);
/// A claim did not find all it wanted: the next ones begin at the marks.
void note_end(FleetBoard& board, std::size_t priority);

/// Claims of many messages begin at the marks one at a time: the second then knows whether there is
/// plenty. A turn that is not ended is over after some milliseconds.
bool take_turn(FleetBoard& board, TimePoint now);
void end_turn(FleetBoard& board);

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
