#pragma once
// What the commands share that talk to the database: their words, their connection, and the exit
// code of what goes wrong there.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "options/load.h"
#include "pgforeman/exit_code.h"
#include "queue/connection.h"

namespace pgforeman {

struct CommandWords : LoadResult {
  /// Set when there is nothing left to do: help was printed, or mistakes were.
  std::optional<ExitCode> finished = {};

  bool has(std::string_view flag) const;
  std::optional<std::string> value(std::string_view flag) const;  ///< the last one given
};

CommandWords read_command_words(Command command, std::span<const char* const> args,
                                std::span<const CommandFlag> flags, std::string_view help);

/// "pgforeman NAME: text" on standard error.
void complain(Command command, std::string_view text);

/// complain() for a command's own words, and its exit code.
ExitCode wrong_usage(Command command, std::string_view text);

/// How to connect for a command; throws DatabaseError::connection when the URL's file cannot be
/// read. A command waits longer for a statement than the fleet does; 0: for ever.
ConnectionSettings command_settings(Command command, const Options& options, Millis patience);

/// Runs `work` and turns a DatabaseError into a line on standard error and an exit code, which
/// tells scripts what kind of help is needed.
ExitCode with_database_errors(Command command, const std::function<ExitCode()>& work);

}  // namespace pgforeman
