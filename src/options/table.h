#pragma once
// The table of options. It is the only source of flags, PGFOREMAN_* variables, config file keys,
// --help, sample.env, config/pgforeman.conf and the settings in docs/configuration.md.
//
// To add an option: add a member in options.h and a row in table.cpp, then run `tools/generate`.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "options/load.h"
#include "options/options.h"

namespace pgforeman {

/// Member to which a value is written; its type decides how the text is parsed.
using Target = std::variant<std::string Options::*, int Options::*, Millis Options::*,
                            ByteSize Options::*, HandlerMode Options::*, StopSignal Options::*,
                            YesNo Options::*, log::Format Options::*, log::Level Options::*>;

/// Rule for a text value; `allowed` completes "must be ...".
struct TextRule {
  bool (*holds)(std::string_view text) = nullptr;
  std::string_view allowed;
};

/// Allowed numbers, inclusive: milliseconds for durations, bytes for sizes. A size may also be 0,
/// which means never or no limit.
struct Range {
  std::int64_t least = 0;
  std::int64_t most = 0;
  std::string_view because = {};  ///< reason for both limits; for the documentation
};

/// A set of commands.
using Commands = unsigned;
constexpr Commands commands_of(Command command) {
  return 1U << static_cast<unsigned>(command);
}
/// All commands but `version`, which has no options.
inline constexpr Commands kAllCommands = commands_of(Command::version) - 1;

struct Option {
  std::string_view name = {};  ///< "HANDLER_TIMEOUT"; the variable adds PGFOREMAN_, the flag dashes
  std::string_view group = {};  ///< heading in printed texts; set by option_table()
  Target target = {};
  std::string_view value_name = {};    ///< "PATH" in --help; by default from the type: "DURATION"
  std::string_view default_text = {};  ///< as an operator would write it; empty: no fixed default
  std::string_view default_note = {};  ///< describes a default that is not a fixed text
  Range range = {};
  std::string_view zero_word = {};                 ///< for a number: a word that means 0
  std::span<const std::string_view> choices = {};  ///< enums: the names in the enum's order
  TextRule rule = {};
  std::string_view example = {};  ///< for the generated files, if there is no default
  bool secret = false;            ///< no flag takes it, and no message prints it
  bool needs_restart = false;     ///< HUP cannot change it
  Commands commands = commands_of(Command::run);
  std::string_view help = {};  ///< for an operator; complete sentences
};

/// Returns all options, in the order of their groups.
std::span<const Option> option_table();

/// Returns the names of all options, each after `prefix`; for "did you mean".
std::vector<std::string> option_names(std::string_view prefix = {});

/// Finds an option by its name in the table ("QUEUE"); null if there is none.
const Option* find_option(std::string_view name);

inline constexpr std::string_view kVariablePrefix = "PGFOREMAN_";
/// PGFOREMAN_HANDLER_ENV_<NAME>=value becomes NAME=value in the handler's environment.
inline constexpr std::string_view kHandlerEnvPrefix = "HANDLER_ENV_";

std::string variable_of(const Option& option);  ///< "PGFOREMAN_HANDLER_TIMEOUT"
std::string flag_of(const Option& option);      ///< "--handler-timeout"; refused for a secret
bool is_for(const Option& option, Command command);
std::string names_of(Commands commands);  ///< "`status`, `health`"

inline constexpr std::string_view kCommandNames[] = {"run",  "migrate", "send",   "status",
                                                     "dead", "health",  "version"};
constexpr std::string_view to_string(Command command) {
  return kCommandNames[static_cast<std::size_t>(command)];
}

}  // namespace pgforeman
