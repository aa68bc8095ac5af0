#pragma once
// Makes Options from command line, environment and config file: flag > environment > file >
// default. Collects every mistake instead of stopping at the first. Fork: before. The supervisor
// also calls it on HUP: it reads files and allocates memory, but starts nothing.

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "options/environment.h"
#include "options/options.h"

namespace pgforeman {

/// Command of the program; each option in the table names the commands that it is for.
enum class Command { run, migrate, send, status, dead, health, version };

/// A flag of a command (`--json`) that is not in the option table.
struct CommandFlag {
  std::string_view name;        ///< without the dashes
  std::string_view value_name;  ///< placeholder for the value in --help; empty: takes no value
  std::string_view help;
};

/// A given CommandFlag: "json" -> "", "limit" -> "20".
struct FoundFlag {
  std::string name;
  std::string value;
};

struct LoadResult {
  Options options;
  std::vector<std::string> errors;    ///< each names the option, its value and what is allowed
  std::vector<std::string> warnings;  ///< e.g. an unknown PGFOREMAN_* variable and its nearest name
  std::vector<std::string> positionals;  ///< words that are no options, in the given order
  std::vector<FoundFlag> flags;          ///< in the given order
  /// Source of each given option: "QUEUE" -> "--queue", "PGFOREMAN_QUEUE" or "FILE:3: QUEUE".
  std::map<std::string, std::string, std::less<>> given;
  bool help = false;      ///< --help was given; nothing else is checked then
  bool help_all = false;  ///< --help=all was given
};

/// All input of load_from(), so that tests can replace it.
struct LoadInput {
  Command command = Command::run;
  std::span<const char* const> args;
  std::span<const CommandFlag> flags;
  Environment environment;
  int cpus = 1;  ///< value of CONCURRENCY if it is not given
};
LoadResult load_from(const LoadInput& input);

/// Calls load_from() with the process's own environment and CPUs.
LoadResult load_options(Command command, std::span<const char* const> args,
                        std::span<const CommandFlag> flags = {});

/// Removes the secrets from this process's environment and keeps them for load_options (also on
/// HUP). Overwrites them in place, so that /proc/PID/environ does not show them and no handler
/// inherits them. Call once, first in main.
void capture_secrets();

/// Returns names of options that differ; adds those that HUP cannot change to `needs_restart`.
std::vector<std::string> changed_options(const Options& before, const Options& after,
                                         std::vector<std::string>* needs_restart);

}  // namespace pgforeman
