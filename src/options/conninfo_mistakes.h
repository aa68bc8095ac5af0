#pragma once
// Recognizes common mistakes of platforms, frameworks and editors in a database address, so that an
// error names the cause. A result quotes only known or short plain words. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "text/conninfo_values.h"

namespace pgforeman {

/// Returns how `text` is malformed: in quotes, a psql command, a JDBC address. Returns nothing if
/// its shape is right, or the mistake is not known here.
std::optional<std::string> shape_problem(std::string_view text);

/// For an address that libpq could not read: finds a parameter or keyword of another program.
std::optional<std::string> foreign_parameter(std::string_view text);

/// For an address that libpq could read: finds a value that libpq refuses when it connects
/// (sslmode=yes), a placeholder, a host with a scheme or a port.
std::optional<std::string> values_problem(const ConninfoValues& values);

/// Returns why `keyword` cannot be `value`: "must be disable, ... or verify-full"; or nothing.
std::optional<std::string> value_problem(std::string_view keyword, std::string_view value);

/// Returns why `host` is no host name: it has a scheme, a port, brackets, blanks; or nothing.
std::optional<std::string> host_problem(std::string_view host);

/// True for "tcp://10.0.0.1:5432", to which Kubernetes and Docker set <SERVICE>_PORT.
bool is_service_link(std::string_view value);

}  // namespace pgforeman
