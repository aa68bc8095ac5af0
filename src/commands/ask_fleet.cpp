#include "commands/ask_fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/duration.h"

namespace pgforeman {
namespace {

constexpr Millis kTimeoutLeast{1};
constexpr Millis kTimeoutMost{600'000};

void print_help(std::string_view help, std::span<const CommandFlag> flags, Command command) {
  fmt::print("{}\nFlags:\n", help);
  for (const CommandFlag& flag : flags) {
    fmt::print("  --{:<19} {}\n", flag.name + (flag.takes_value ? " DURATION" : ""), flag.help);
  }
  fmt::print("\n{}", options_help(command));
}

/// What is wrong with `text`; empty when `timeout` has it.
std::string read_timeout(const std::string& text, Millis& timeout) {
  const auto parsed = parse_duration(text);
  if (parsed && *parsed.value >= kTimeoutLeast && *parsed.value <= kTimeoutMost) {
    timeout = *parsed.value;
    return {};
  }
  return fmt::format("--timeout '{}' {}; allowed is a duration from {} to {}, such as 2s", text,
                     parsed ? "is out of range" : parsed.problem, format_duration(kTimeoutLeast),
                     format_duration(kTimeoutMost));
}

}  // namespace

bool AskWords::has(std::string_view flag) const {
  return std::any_of(flags.begin(), flags.end(), [&](const auto& f) { return f.name == flag; });
}

HttpAnswer ask_endpoint(const AskWords& words, const std::string& target) {
  const Options& options = words.options;
  if (options.health_port == 0) {
    throw HttpGetError(
        "HEALTH_PORT is 0, any free port: say --health-port with the one that the fleet logged");
  }
  return http_get(connectable_address(options.health_address),
                  static_cast<std::uint16_t>(options.health_port), target, words.timeout);
}

CommandFlag timeout_flag() {
  return {"timeout", true, "how long to wait for the endpoint's answer (default 2s)"};
}

AskWords read_ask_words(Command command, std::string_view name, std::span<const char* const> args,
                        std::span<const CommandFlag> flags, std::string_view help) {
  AskWords words;
  LoadResult loaded = load_options(command, args, flags, &words.flags);
  if (loaded.help) {
    print_help(help, flags, command);
    words.finished = ExitCode::ok;
    return words;
  }
  words.options = std::move(loaded.options);
  std::vector<std::string> usage;
  for (const std::string& extra : loaded.positionals) {
    usage.push_back(fmt::format("'{}' is one word too many; see pgforeman {} --help", extra, name));
  }
  for (const FoundFlag& flag : words.flags) {
    if (flag.name != "timeout") continue;
    if (auto problem = read_timeout(flag.value, words.timeout); !problem.empty()) {
      usage.push_back(std::move(problem));
    }
  }
  for (const auto* list : {&loaded.warnings, &loaded.errors, &usage}) {
    for (const std::string& line : *list) fmt::print(stderr, "pgforeman {}: {}\n", name, line);
  }
  if (!loaded.errors.empty()) {
    words.finished = ExitCode::config;
  } else if (!usage.empty()) {
    words.finished = ExitCode::usage;
  }
  return words;
}

}  // namespace pgforeman
