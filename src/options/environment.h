#pragma once
// Reads the process's environment: pgforeman's variables, secrets, and what a handler inherits.

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pgforeman {

using Environment = std::vector<std::string>;  ///< "NAME=value", as in environ
using StringMap = std::map<std::string, std::string, std::less<>>;

/// Returns this process's environment: with the captured database URL, without PGPASSWORD.
Environment process_environment();

/// Returns the PGPASSWORD that capture_secrets took; empty if there was none.
const std::string& captured_password();

/// Returns the value of `name`; empty if it is unset.
std::string_view value_in(const Environment& environment, std::string_view name);

/// The PGFOREMAN_* variables. An empty value counts as unset, as compose files pass empty values.
struct EnvironmentSettings {
  StringMap values;       ///< "QUEUE" -> value
  StringMap handler_env;  ///< NAME -> value of PGFOREMAN_HANDLER_ENV_NAME
  std::vector<std::string> warnings;
};
EnvironmentSettings scan_environment(const Environment& environment);

/// True for a name that may follow HANDLER_ENV_: letters, digits and _, but no digit first.
bool is_variable_name(std::string_view name);

/// Returns a handler's environment: all variables but PGPASSWORD and PGFOREMAN_*, then
/// `handler_env`, which replaces an inherited variable of the same name.
std::vector<std::string> make_handler_environment(const Environment& environment,
                                                  const StringMap& handler_env);

}  // namespace pgforeman
