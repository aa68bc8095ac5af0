#pragma once
// What `pgforeman status` prints. Pure. Fork: either.

#include <optional>
#include <string>
#include <string_view>

#include "commands/json_fields.h"
#include "queue/results.h"

namespace pgforeman {

/// The figures of a queue, from whichever side knew them.
struct QueueFigures : QueueCounts {
  std::string name;
  std::optional<double> age_seconds;  ///< how old the figures are; none: just counted
  std::string others;  ///< "mail (3)": other queues that have messages; only of one that has none
};

/// An answer of /status. Throws std::runtime_error when `text` is none.
Json parse_fleet(std::string_view text);

/// What /status said, as lines for a person: the fleet, its totals, a row per slot.
std::string fleet_text(const Json& fleet);

/// One line.
std::string queue_text(const QueueFigures& figures);

/// The queue's figures as one object, with where they came from ("fleet", "database").
Json queue_json(const QueueFigures& figures, std::string_view source);

/// The queue's figures in an answer of /status; nothing when the fleet has not counted yet.
std::optional<QueueFigures> figures_of(const Json& fleet);

/// 0.25 -> "250ms", 3.21 -> "3.2s", 4000 -> "1h 6m".
std::string human_seconds(double seconds);

}  // namespace pgforeman
