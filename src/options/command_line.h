#pragma once
// Splits a command line into options, the command's own flags, and other words.

#include <map>
#include <span>
#include <string>
#include <vector>

#include "options/load.h"

namespace pgforeman {

struct CommandLine {
  std::map<std::string, std::string, std::less<>> values;  ///< "QUEUE" -> value of its flag
  std::vector<FoundFlag> flags;
  std::vector<std::string> positionals;
  std::vector<std::string> errors;
  bool help = false;
  bool help_all = false;  ///< --help=all
};

/// Splits `args`, the words after the command's name. `--name value` and `--name=value` mean the
/// same, `--` ends the flags, a single `-` and negative numbers are plain words. Does not check
/// values: the table does so later, so that all mistakes are reported together.
CommandLine split_command_line(Command command, std::span<const char* const> args,
                               std::span<const CommandFlag> flags);

}  // namespace pgforeman
