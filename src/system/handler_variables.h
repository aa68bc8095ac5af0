#pragma once
// The variables that pgforeman sets for handlers, after "PGFOREMAN_". What a process was itself
// started with (by another pgforeman, say) is neither a setting of its own nor its handlers'.

#include <array>
#include <string_view>

namespace pgforeman {

inline constexpr std::array<std::string_view, 8> kHandlerVariables = {
    "MESSAGE_ID", "IDEMPOTENCY_KEY", "ATTEMPT",          "FENCE",
    "HEADERS",    "ENQUEUED_AT",     "DEADLINE_SECONDS", "FLEET"};

}  // namespace pgforeman
