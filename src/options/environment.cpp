#include "options/environment.h"

#include <fmt/format.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "options/conninfo_mistakes.h"
#include "options/load.h"
#include "options/table.h"
#include "options/value.h"
#include "system/handler_variables.h"
#include "text/nearest.h"

namespace pgforeman {
namespace {

constexpr std::string_view kPassword = "PGPASSWORD";
constexpr std::string_view kDatabaseUrl = "PGFOREMAN_DATABASE_URL";

// Secrets taken out of environ, kept for reloads. Only capture_secrets writes them, first in main.
struct Secrets {
  std::string password, database_url;
};
Secrets& secrets() {
  static Secrets taken;
  return taken;
}

std::string_view name_of(std::string_view entry) {
  return entry.substr(0, entry.find('='));
}
std::string_view value_of(std::string_view entry) {
  const std::size_t equals = entry.find('=');
  return equals == std::string_view::npos ? std::string_view() : entry.substr(equals + 1);
}

/// Copies the value of `name` out of environ and overwrites every copy there. unsetenv alone only
/// removes the pointer: the bytes stay in the block that /proc/PID/environ shows.
void capture(std::string_view name, std::string& into) {
  bool first = true;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (name_of(*entry) != name) continue;
    char* value = *entry + name.size();
    if (*value != '=') continue;
    ++value;
    const std::size_t size = ::strlen(value);
    // getenv would find the first entry of this name.
    if (first && size > 0) into.assign(value, size);
    first = false;
    ::explicit_bzero(value, size);
  }
  ::unsetenv(std::string(name).c_str());
}

/// True for variables that Kubernetes sets for each Service `pgforeman*` of the namespace.
bool is_service_link_name(std::string_view name, std::string_view value) {
  if (name == "PORT" || name.starts_with("PORT_")) return true;
  if (is_service_link(value)) return true;  // the value of <SERVICE>_PORT
  const auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
  return name.starts_with("SERVICE_HOST") || name.starts_with("SERVICE_PORT") ||
         has("_SERVICE_HOST") || has("_SERVICE_PORT") ||
         (has("_PORT_") && (has("_TCP") || has("_UDP") || has("_SCTP")));
}

}  // namespace

void capture_secrets() {
  capture(kDatabaseUrl, secrets().database_url);
  capture(kPassword, secrets().password);
}

const std::string& captured_password() {
  return secrets().password;
}

Environment process_environment() {
  Environment environment;
  if (const std::string& url = secrets().database_url; !url.empty()) {
    environment.push_back(fmt::format("{}={}", kDatabaseUrl, url));
  }
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    environment.emplace_back(*entry);
  }
  return environment;
}

std::string_view value_in(const Environment& environment, std::string_view name) {
  for (const std::string& entry : environment) {
    if (name_of(entry) == name) return value_of(entry);
  }
  return {};
}

bool is_variable_name(std::string_view name) {
  return consists_of(name, kWordCharacters) && (name.front() < '0' || name.front() > '9');
}

EnvironmentSettings scan_environment(const Environment& environment) {
  EnvironmentSettings settings;
  for (const std::string& entry : environment) {
    std::string_view name = name_of(entry);
    if (!name.starts_with(kVariablePrefix)) continue;
    const std::string variable(name);
    const std::string_view value = value_of(entry);
    name.remove_prefix(kVariablePrefix.size());
    if (find_option(name) != nullptr) {
      const std::string_view text = trimmed(value);
      if (!value.empty()) settings.values.emplace(name, text);
      if (text.size() != value.size()) {
        settings.warnings.push_back(variable +
                                    ": blanks or line ends around its value were dropped");
      }
      continue;
    }
    if (name.starts_with(kHandlerEnvPrefix)) {
      name.remove_prefix(kHandlerEnvPrefix.size());
      if (!is_variable_name(name)) {
        settings.warnings.push_back(
            shown(variable) +
            ": what follows HANDLER_ENV_ is not the name of a variable, so it "
            "has no effect");
      } else if (!value.empty()) {
        settings.handler_env.emplace(name, value);
      }
      continue;
    }
    const bool expected = std::find(kHandlerVariables.begin(), kHandlerVariables.end(), name) !=
                              kHandlerVariables.end() ||
                          is_service_link_name(name, value);
    if (expected) continue;
    settings.warnings.push_back(shown(variable) +
                                ": is not a variable of pgforeman and has no effect" +
                                did_you_mean(variable, option_names(kVariablePrefix)));
  }
  return settings;
}

std::vector<std::string> make_handler_environment(const Environment& environment,
                                                  const StringMap& handler_env) {
  std::vector<std::string> result;
  for (const std::string& entry : environment) {
    const std::string_view name = name_of(entry);
    const bool ours = name == kPassword || name.starts_with(kVariablePrefix);
    if (!ours && handler_env.find(name) == handler_env.end()) result.push_back(entry);
  }
  for (const auto& [name, value] : handler_env) result.push_back(name + "=" + value);
  return result;
}

}  // namespace pgforeman
