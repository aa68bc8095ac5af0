#pragma once
// What the commands share that talk to the database: their words, their connection, and the exit
// code of what goes wrong there.

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

/// A mistake in a command's own words.
struct WrongUsage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct CommandWords : LoadResult {
  Command command = Command::run;

  bool has(std::string_view flag) const;
  std::optional<std::string> value(std::string_view flag) const;  ///< the last one given
};

/// Reads the words of a command and hands them to `work`. Prints --help, mistakes of the options,
/// WrongUsage and DatabaseError, each of which has its exit code.
ExitCode run_command(Command command, std::span<const char* const> args,
                     std::span<const CommandFlag> flags, std::string_view help,
                     const std::function<ExitCode(CommandWords&)>& work);

/// For a command that takes flags only. Throws WrongUsage.
void refuse_positionals(const CommandWords& words);

/// "pgforeman NAME: text" on standard error.
void complain(Command command, std::string_view text);

/// How to connect for a command; throws DatabaseError::connection when the URL's file cannot be
/// read. A command waits longer for a statement than the fleet does; 0: for ever.
ConnectionSettings command_settings(const CommandWords& words, Millis patience);

/// Runs `work` and turns a DatabaseError into a line on standard error and an exit code, by which
/// scripts know what kind of help is needed. run_command() does so for all of a command.
ExitCode with_database_errors(Command command, const std::function<ExitCode()>& work);

}  // namespace pgforeman
