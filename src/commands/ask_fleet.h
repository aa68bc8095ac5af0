#pragma once
// What `health` and `status` share: the way to the endpoint of a running fleet.

#include <string>

#include "commands/database_command.h"
#include "http/client.h"
#include "system/clock.h"

namespace pgforeman {

inline constexpr CommandFlag kTimeoutFlag{"timeout", "DURATION",
                                          "how long to wait for the endpoint (default 2s)"};

/// What kTimeoutFlag says. The default is within a container runtime's own patience with a health
/// check. Throws WrongUsage.
Millis read_timeout(const CommandWords& words);

/// Asks the endpoint that the options name for `target`. Throws HttpGetError.
HttpAnswer ask_endpoint(const Options& options, const std::string& target, Millis timeout);

}  // namespace pgforeman
