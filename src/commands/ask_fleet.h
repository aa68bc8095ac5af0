#pragma once
// Asks the endpoint of a running fleet, for `health` and `status`.

#include <string>

#include "commands/database_command.h"
#include "http/client.h"
#include "system/clock.h"

namespace pgforeman {

inline constexpr CommandFlag kTimeoutFlag{"timeout", "DURATION",
                                          "how long to wait for the endpoint (default 2s)"};

/// Returns the value of kTimeoutFlag. The default is shorter than a container runtime's timeout for
/// a health check. Throws WrongUsage.
Millis read_timeout(const CommandWords& words);

/// Sends GET `target` to the endpoint in `options`. Throws HttpGetError.
HttpAnswer ask_endpoint(const Options& options, const std::string& target, Millis timeout);

}  // namespace pgforeman
