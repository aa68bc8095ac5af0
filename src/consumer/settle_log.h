#pragma once
// Logs what each message came to. Fork: after.

#include <cstdint>
#include <optional>

#include "fleet/scoreboard.h"
#include "pgforeman/message.h"
#include "pgforeman/outcome.h"
#include "queue/queue.h"

namespace pgforeman {

/// `outcome`: the settled one; nothing if the lease was lost before there was one. Logs no payload.
void log_settled(const Message& message, const std::optional<Outcome>& outcome, Settled settled,
                 const RetryRule& rule);

/// Logs once per fleet how long its first done message took from start to settle: a sign that
/// everything works. `started_ms`: wall clock.
void log_first_done(FleetBoard& board, const Message& message, std::int64_t started_ms);

}  // namespace pgforeman
