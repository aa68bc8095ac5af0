#pragma once
// A run of a message as the JSON object that joins its history. Fork: after.

#include <optional>
#include <string>

#include "queue/queue.h"

namespace pgforeman {

/// Nothing for an outcome without a cause. Pure ASCII, so that any database can hold it.
std::optional<std::string> history_entry(const Settlement& settlement);

}  // namespace pgforeman
