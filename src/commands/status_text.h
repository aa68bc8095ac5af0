#pragma once
// What `pgforeman status` prints for a person. Pure: text in, text out. Fork: either.

#include <optional>
#include <string>
#include <string_view>

namespace pgforeman {

/// The figures of a queue, from whichever side knew them.
struct QueueFigures {
  std::string name;
  long long ready = 0, scheduled = 0, running = 0, dead = 0;
  double oldest_seconds = 0;
  std::optional<double> age_seconds;  ///< how old the figures are; none: just counted
  bool capped = false;                ///< at least one figure is "at least"
  std::string others;  ///< "mail (3)": other queues that have messages; only of one that has none
};

/// What /status said, as lines for a person: the fleet, its totals, a row per slot.
/// Throws std::runtime_error when `json` is not an answer of /status.
std::string fleet_text(std::string_view json);

/// One line.
std::string queue_text(const QueueFigures& figures);

/// The queue's figures as one JSON object, with where they came from ("fleet", "database").
std::string queue_json(const QueueFigures& figures, std::string_view source);

/// The queue's figures in an answer of /status; nothing when the fleet has not counted yet.
std::optional<QueueFigures> figures_of(std::string_view json);

/// The object `status --json` prints. Both are JSON texts; empty ones become null.
std::string joined_json(std::string_view fleet, std::string_view queue);

/// 0.25 -> "250ms", 3.21 -> "3.2s", 4000 -> "1h 6m".
std::string human_seconds(double seconds);

}  // namespace pgforeman
