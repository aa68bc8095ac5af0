#pragma once
// What `health` and `status` share: the way to the endpoint of a running fleet.

#include <string>

#include "base/clock.h"
#include "commands/database_command.h"
#include "http/client.h"

namespace pgforeman {

inline constexpr CommandFlag kTimeoutFlag{"timeout", "DURATION",
                                          "how long to wait for the endpoint (default 2s)"};

/// Words that name an endpoint to ask and how long to wait. The default is within a container
/// runtime's own patience with a health check.
struct AskWords : CommandWords {
  Millis timeout{2000};
};

/// Reads a command that takes no other words than flags, kTimeoutFlag among them.
AskWords read_ask_words(Command command, std::span<const char* const> args,
                        std::span<const CommandFlag> flags, std::string_view help);

/// Asks the endpoint for `target`. Throws HttpGetError.
HttpAnswer ask_endpoint(const AskWords& words, const std::string& target);

}  // namespace pgforeman
