#pragma once
// From a command line, the environment and a config file to Options: flag > environment > file >
// default. Collects every mistake instead of stopping at the first. Fork: before (and on HUP, in
// the supervisor: reads files, allocates, starts nothing).

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "options/environment.h"
#include "options/options.h"

namespace pgforeman {

/// The command whose options are loaded; an option of the table says which commands it is for.
enum class Command { run, migrate, send, status, dead, health, version };

/// A flag of one command alone (`--json`), which is no setting of the fleet.
struct CommandFlag {
  std::string_view name;        ///< without the dashes
  std::string_view value_name;  ///< stands for its value in --help; empty: it takes none
  std::string_view help;
};

/// One that was given: "json" -> "", "limit" -> "20".
struct FoundFlag {
  std::string name;
  std::string value;
};

struct LoadResult {
  Options options;
  std::vector<std::string> errors;    ///< each names the option, its value and what is allowed
  std::vector<std::string> warnings;  ///< e.g. an unknown PGFOREMAN_* variable and its nearest name
  std::vector<std::string> positionals;  ///< words that are no options, in their order
  std::vector<FoundFlag> flags;          ///< in their order
  /// Where each option was given that was: "QUEUE" -> "--queue", "PGFOREMAN_QUEUE", "FILE:3:
  /// QUEUE".
  std::map<std::string, std::string, std::less<>> given;
  bool help = false;      ///< --help was given; nothing else was checked
  bool help_all = false;  ///< as --help=all
};

/// Everything that is read, so that tests can give it.
struct LoadInput {
  Command command = Command::run;
  std::span<const char* const> args;
  std::span<const CommandFlag> flags;
  Environment environment;
  int cpus = 1;  ///< CONCURRENCY when it is not given
};
LoadResult load_from(const LoadInput& input);

/// The same with the process's own environment and CPUs.
LoadResult load_options(Command command, std::span<const char* const> args,
                        std::span<const CommandFlag> flags = {});

/// Takes the secrets out of this process's environment: captured for load_options (also at
/// HUP), then overwritten in place, so that /proc/PID/environ does not show them and no handler
/// inherits them. Call once, first thing in main.
void capture_secrets();

/// The options part of `pgforeman COMMAND --help`: a paragraph each, or brief: a line each.
std::string options_help(Command command, bool brief = false);

/// Names of the options that differ; `needs_restart` gets those that a running fleet cannot change.
std::vector<std::string> changed_options(const Options& before, const Options& after,
                                         std::vector<std::string>* needs_restart);

}  // namespace pgforeman
