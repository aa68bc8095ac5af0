#pragma once
// The one table of options. Flags, PGFOREMAN_* variables, the config file, --help, sample.env,
// config/pgforeman.conf and the settings in docs/configuration.md come from it, and from it alone.
//
// To add one: a member in options.h, a row in table.cpp, then `tools/generate`.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "options/load.h"
#include "options/options.h"

namespace pgforeman {

/// The member a value is written to; its type says how the text is parsed.
using Target = std::variant<std::string Options::*, int Options::*, Millis Options::*,
                            ByteSize Options::*, HandlerMode Options::*, StopSignal Options::*,
                            YesNo Options::*, log::Format Options::*, log::Level Options::*>;

/// What a text must look like: `allowed` completes "must be ...".
struct TextRule {
  bool (*holds)(std::string_view text) = nullptr;
  std::string_view allowed;
};

/// Which numbers are allowed: milliseconds of durations; bytes of sizes, where 0 (never) is allowed
/// besides.
struct Range {
  std::int64_t least = 0;
  std::int64_t most = 0;
  std::string_view because = {};  ///< why these two; for the documentation
};

/// A set of commands.
using Commands = unsigned;
constexpr Commands commands_of(Command command) {
  return 1U << static_cast<unsigned>(command);
}
/// All that have options.
inline constexpr Commands kAllCommands = commands_of(Command::version) - 1;

struct Option {
  std::string_view name = {};  ///< "HANDLER_TIMEOUT"; the variable adds PGFOREMAN_, the flag dashes
  std::string_view group = {};  ///< heading under which it is printed; the table knows it
  Target target = {};
  std::string_view value_name = {};    ///< "PATH" in --help; else that of its type, as "DURATION"
  std::string_view default_text = {};  ///< as an operator would write it; empty: none
  std::string_view default_note = {};  ///< said of a default that is no fixed text
  Range range = {};
  std::string_view zero_word = {};                 ///< of a number: a word that may stand for 0
  std::span<const std::string_view> choices = {};  ///< enums: the names in the enum's order
  TextRule rule = {};
  std::string_view example = {};  ///< for the generated files, where there is no default
  bool secret = false;            ///< no flag takes it, and no message prints it
  bool needs_restart = false;     ///< HUP cannot change it
  Commands commands = commands_of(Command::run);
  std::string_view help = {};  ///< for an operator; complete sentences
};

/// Every option, grouped.
std::span<const Option> option_table();

/// Their names, each after `prefix`; for "did you mean".
std::vector<std::string> option_names(std::string_view prefix = {});

/// Finds by name as in the table ("QUEUE"); null when there is none.
const Option* find_option(std::string_view name);

inline constexpr std::string_view kVariablePrefix = "PGFOREMAN_";
/// PGFOREMAN_HANDLER_ENV_<NAME>=value becomes NAME=value in the handler's environment.
inline constexpr std::string_view kHandlerEnvPrefix = "HANDLER_ENV_";

std::string variable_of(const Option& option);  ///< "PGFOREMAN_HANDLER_TIMEOUT"
std::string flag_of(const Option& option);      ///< "--handler-timeout"; a secret's is never taken
bool is_for(const Option& option, Command command);
std::string names_of(Commands commands);  ///< "`status`, `health`"

inline constexpr std::string_view kCommandNames[] = {"run",  "migrate", "send",   "status",
                                                     "dead", "health",  "version"};
constexpr std::string_view to_string(Command command) {
  return kCommandNames[static_cast<std::size_t>(command)];
}

}  // namespace pgforeman
