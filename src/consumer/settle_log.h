#pragma once
// What became of each message, as a log line. Fork: after.

#include <cstdint>
#include <optional>

#include "fleet/scoreboard.h"
#include "pgforeman/message.h"
#include "pgforeman/outcome.h"
#include "queue/queue.h"

namespace pgforeman {

/// `outcome` is what was to be settled, if anything was. Logs no payload.
void log_settled(const Message& message, const std::optional<Outcome>& outcome, Settled settled,
                 const RetryRule& rule);

/// Of the first message of the fleet that was done, how long it took from its run's start until the
/// queue knew: the sign that everything works. `started_ms`: wall clock.
void log_first_done(FleetBoard& board, const Message& message, std::int64_t started_ms);

}  // namespace pgforeman
