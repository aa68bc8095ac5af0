#pragma once
// What `health` and `status` share: their words, and the way to the endpoint of a running fleet.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/http_get.h"
#include "options/load.h"
#include "pgforeman/exit_code.h"

namespace pgforeman {

/// How long a command waits for the endpoint when nobody says: within a container runtime's own
/// patience with a health check.
inline constexpr Millis kAskTimeout{2000};

struct AskWords {
  Options options;
  Millis timeout = kAskTimeout;
  std::vector<FoundFlag> flags;
  /// Set when there is nothing left to do: help was printed, or mistakes were.
  std::optional<ExitCode> finished;

  bool has(std::string_view flag) const;
};

/// Reads a command's words. `flags` must hold `timeout`; `help` is printed before the options.
AskWords read_ask_words(Command command, std::string_view name, std::span<const char* const> args,
                        std::span<const CommandFlag> flags, std::string_view help);

/// Asks the endpoint for `target`. Throws HttpGetError.
HttpAnswer ask_endpoint(const AskWords& words, const std::string& target);

/// The flag both take.
CommandFlag timeout_flag();

}  // namespace pgforeman
