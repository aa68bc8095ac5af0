#include "commands/ask_fleet.h"

#include <fmt/format.h>

#include "base/quantity.h"
#include "commands/text_table.h"

namespace pgforeman {

namespace {

constexpr Millis kTimeoutLeast{1};
constexpr Millis kTimeoutMost{600'000};

/// What is wrong with `text`; empty when `timeout` has it.
std::string read_timeout(const std::string& text, Millis& timeout) {
  const auto parsed = parse_duration(text);
  if (parsed && *parsed.value >= kTimeoutLeast && *parsed.value <= kTimeoutMost) {
    timeout = *parsed.value;
    return {};
  }
  return fmt::format("--timeout '{}' {}; allowed is a duration from {} to {}, such as 2s",
                     printable(text), parsed ? "is out of range" : parsed.problem,
                     format_duration(kTimeoutLeast), format_duration(kTimeoutMost));
}

}  // namespace

AskWords read_ask_words(Command command, std::span<const char* const> args,
                        std::span<const CommandFlag> flags, std::string_view help) {
  AskWords words{read_command_words(command, args, flags, help)};
  if (words.finished) return words;
  if (!words.positionals.empty()) {
    words.finished = wrong_usage(
        command, fmt::format("'{}' is one word too many", printable(words.positionals[0])));
  } else if (const auto timeout = words.value("timeout")) {
    const std::string problem = read_timeout(*timeout, words.timeout);
    if (!problem.empty()) words.finished = wrong_usage(command, problem);
  }
  return words;
}

HttpAnswer ask_endpoint(const AskWords& words, const std::string& target) {
  const Options& options = words.options;
  return http_get(connectable_addresses(options.health_address),
                  static_cast<std::uint16_t>(options.health_port), target, words.timeout);
}

}  // namespace pgforeman
