#pragma once
// What a whole fleet has to say once: it loses its database in one instant. Shared memory, so any
// words may stand there: then a line is said once too often, or a minute late. Fork: after.

#include <string_view>

#include "base/clock.h"
#include "scoreboard/scoreboard.h"

namespace pgforeman {

/// Whether no process has given this reason for a minute; then it counts as given.
bool says_first(FleetBoard& board, std::string_view reason, TimePoint now);

}  // namespace pgforeman
