#pragma once
// What became of each message, as a log line. Fork: after.

#include <optional>

#include "pgforeman/message.h"
#include "queue/queue.h"

namespace pgforeman {

/// `outcome` is what was to be settled, if anything was. Logs no payload.
void log_settled(const Message& message, const std::optional<Outcome>& outcome, Settled settled,
                 const RetryRule& rule);

}  // namespace pgforeman
