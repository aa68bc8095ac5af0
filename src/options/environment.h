#pragma once
// The process's environment: what of it is ours, what is secret, and what a handler inherits.

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pgforeman {

using Environment = std::vector<std::string>;  ///< "NAME=value", as in environ
using StringMap = std::map<std::string, std::string, std::less<>>;

/// The environment as it was started with: the captured database URL included, the captured
/// PGPASSWORD not.
Environment process_environment();

/// What capture_secrets took out of PGPASSWORD; empty when there was none.
const std::string& captured_password();

/// The value of `name`, empty when it is unset.
std::string_view value_in(const Environment& environment, std::string_view name);

/// The PGFOREMAN_* variables. An empty value counts as unset, as compose files pass it.
struct EnvironmentSettings {
  StringMap values;       ///< "QUEUE" -> value
  StringMap handler_env;  ///< NAME -> value of PGFOREMAN_HANDLER_ENV_NAME
  std::vector<std::string> warnings;
};
EnvironmentSettings scan_environment(const Environment& environment);

/// True for what may follow HANDLER_ENV_: letters, digits and _, and no digit first.
bool is_variable_name(std::string_view name);

/// What a handler inherits: everything but PGPASSWORD and PGFOREMAN_*, then `handler_env`, which
/// wins over an inherited variable of the same name.
std::vector<std::string> make_handler_environment(const Environment& environment,
                                                  const StringMap& handler_env);

}  // namespace pgforeman
