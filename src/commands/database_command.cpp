#include "commands/database_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "commands/text_table.h"
#include "options/help.h"
#include "options/table.h"
#include "queue/database_error.h"
#include "text/terminal_text.h"

namespace pgforeman {

namespace {

using Kind = DatabaseError::Kind;

/// Time from the server's statement timeout until the command gives up on the server.
constexpr Millis kWatchdogMargin{2000};

void print_help(Command command, std::span<const CommandFlag> flags, std::string_view help) {
  fmt::print("{}", help);
  if (!flags.empty()) fmt::print("\nFlags:\n");
  for (const CommandFlag& flag : flags) {
    const std::string name =
        fmt::format("--{}{}{}", flag.name, flag.value_name.empty() ? "" : " ", flag.value_name);
    fmt::print("  {:<21} {}\n", name, flag.help);
  }
  fmt::print("\n{}", options_help(command));
}

}  // namespace

bool CommandWords::has(std::string_view flag) const {
  return value(flag).has_value();
}

std::optional<std::string> CommandWords::value(std::string_view flag) const {
  const auto found = std::find_if(flags.rbegin(), flags.rend(),
                                  [&](const FoundFlag& each) { return each.name == flag; });
  if (found == flags.rend()) return std::nullopt;
  return found->value;
}

ExitCode run_command(Command command, std::span<const char* const> args,
                     std::span<const CommandFlag> flags, std::string_view help,
                     const std::function<ExitCode(CommandWords&)>& work) {
  CommandWords words{load_options(command, args, flags), command};
  if (words.help) {
    print_help(command, flags, help);
    return ExitCode::ok;
  }
  for (const std::string& warning : words.warnings) complain(command, "warning: " + warning);
  for (const std::string& error : words.errors) complain(command, error);
  if (!words.errors.empty()) return ExitCode::config;
  try {
    return with_database_errors(command, [&] { return work(words); });
  } catch (const WrongUsage& mistake) {
    complain(command, mistake.what());
    fmt::print(stderr, "See pgforeman {} --help\n", to_string(command));
    return ExitCode::usage;
  }
}

void refuse_positionals(const CommandWords& words) {
  if (words.positionals.empty()) return;
  throw WrongUsage(fmt::format("'{}' is one word too many", printable(words.positionals[0])));
}

void complain(Command command, std::string_view text) {
  fmt::print(stderr, "pgforeman {}: {}\n", to_string(command), terminal_text(text));
}

ConnectionSettings command_settings(const CommandWords& words, Millis patience) {
  ConnectionSettings settings;
  try {
    settings.conninfo = resolve_conninfo(words.options);
  } catch (const std::runtime_error& error) {
    throw DatabaseError(Kind::connection, error.what());
  }
  settings.application_name = fmt::format("pgforeman {}", to_string(words.command));
  settings.statement_timeout = patience;
  settings.watchdog = patience.count() > 0 ? patience + kWatchdogMargin : Millis{0};
  return settings;
}

ExitCode with_database_errors(Command command, const std::function<ExitCode()>& work) {
  try {
    return work();
  } catch (const DatabaseError& error) {
    complain(command, error.what());
    if (error.kind() == Kind::schema) return ExitCode::schema_mismatch;
    return error.kind() == Kind::rejected ? ExitCode::bad_data : ExitCode::unavailable;
  }
}

}  // namespace pgforeman
