#pragma once
// The words of a command line, taken apart: options, a command's own flags, and the rest.

#include <map>
#include <span>
#include <string>
#include <vector>

#include "options/load.h"

namespace pgforeman {

struct CommandLine {
  std::map<std::string, std::string, std::less<>> values;  ///< "QUEUE" -> what its flag was given
  std::vector<FoundFlag> flags;
  std::vector<std::string> positionals;
  std::vector<std::string> errors;
  bool help = false;
  bool help_all = false;  ///< --help=all
};

/// Splits `args`, the words after the command's name. `--name value` and `--name=value` are alike,
/// `--` ends the flags, a lone `-` and negative numbers are plain words. Values stay texts: the
/// table checks them, so that all mistakes are reported together.
CommandLine split_command_line(Command command, std::span<const char* const> args,
                               std::span<const CommandFlag> flags);

}  // namespace pgforeman
