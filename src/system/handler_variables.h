#pragma once
// The variables that pgforeman sets for handlers, without the prefix "PGFOREMAN_". If its own
// environment has one (from another pgforeman), that is no setting and is not passed to handlers.

#include <array>
#include <string_view>

namespace pgforeman {

inline constexpr std::array<std::string_view, 8> kHandlerVariables = {
    "MESSAGE_ID", "IDEMPOTENCY_KEY", "ATTEMPT",          "FENCE",
    "HEADERS",    "ENQUEUED_AT",     "DEADLINE_SECONDS", "FLEET"};

}  // namespace pgforeman
