#pragma once
// Builds the JSON object that a run adds to its message's history. Fork: after.

#include <optional>
#include <string>

#include "queue/queue.h"

namespace pgforeman {

/// Returns nothing for an outcome without a cause. The text is ASCII, which any database can hold.
std::optional<std::string> history_entry(const Settlement& settlement);

}  // namespace pgforeman
