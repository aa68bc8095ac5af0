#pragma once
// Text and JSON of `pgforeman status`. Pure. Fork: either.

#include <optional>
#include <string>
#include <string_view>

#include "commands/json_fields.h"
#include "queue/results.h"

namespace pgforeman {

/// Counts of a queue, from the fleet or the database.
struct QueueFigures : QueueCounts {
  std::string name;
  std::optional<double> age_seconds;  ///< age of the counts; none: just counted
  std::string others;  ///< "mail (3)": queues with messages; set only if this queue is empty
};

/// Parses an answer of /status. Throws std::runtime_error if `text` is not one.
Json parse_fleet(std::string_view text);

/// Returns the answer of /status as lines for people: the fleet, its totals, a row per slot.
std::string fleet_text(const Json& fleet);

/// Returns the counts in one line, and `others`, if any, in a second one.
std::string queue_text(const QueueFigures& figures);

/// Returns the counts as one object, with their source: "fleet" or "database".
Json queue_json(const QueueFigures& figures, std::string_view source);

/// Returns the counts in an answer of /status; nothing if the fleet has not counted yet.
std::optional<QueueFigures> figures_of(const Json& fleet);

/// Formats 0.25 as "250ms", 3.21 as "3.2s", 4000 as "1h 6m".
std::string human_seconds(double seconds);

}  // namespace pgforeman
