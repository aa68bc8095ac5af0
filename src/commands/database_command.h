#pragma once
// Shared by the subcommands: parsing of their words, error output and exit codes, and the
// connection to the database.

#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "options/load.h"
#include "pgforeman/exit_code.h"
#include "queue/connection.h"

namespace pgforeman {

/// A mistake in a command's arguments or flags.
struct WrongUsage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct CommandWords : LoadResult {
  Command command = Command::run;

  bool has(std::string_view flag) const;
  std::optional<std::string> value(std::string_view flag) const;  ///< if given twice, the last one
};

/// Parses the words of a command and calls `work` with them. Prints --help, option errors,
/// WrongUsage and DatabaseError, and returns the exit code for each.
ExitCode run_command(Command command, std::span<const char* const> args,
                     std::span<const CommandFlag> flags, std::string_view help,
                     const std::function<ExitCode(CommandWords&)>& work);

/// Throws WrongUsage if there is a positional word; for commands that take only flags.
void refuse_positionals(const CommandWords& words);

/// Prints "pgforeman NAME: text" to standard error.
void complain(Command command, std::string_view text);

/// Returns the connection settings of a command. `patience` limits a statement, longer than in a
/// fleet; 0: no limit. Throws DatabaseError (connection) if the URL's file is unusable.
ConnectionSettings command_settings(const CommandWords& words, Millis patience);

/// Runs `work`. Prints a DatabaseError to standard error and returns an exit code for its kind, so
/// that scripts can react. run_command() calls this for the whole command.
ExitCode with_database_errors(Command command, const std::function<ExitCode()>& work);

}  // namespace pgforeman
