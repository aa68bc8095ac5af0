#pragma once
// What platforms, frameworks and editors make of a database's address, by kind, so that an error
// names the cause. Nothing in an answer is a part of the address but words that are known here.
// Pure.

#include <optional>
#include <string>
#include <string_view>

#include "text/conninfo_values.h"

namespace pgforeman {

/// What `text` is instead of an address that libpq reads: quoted, a psql command, JDBC's. Nothing
/// where its shape is right, or wrong in no way that is known.
std::optional<std::string> mistaken_shape(std::string_view text);

/// Of an address that libpq could not read: the parameter or keyword that another program takes.
std::optional<std::string> foreign_parameter(std::string_view text);

/// Of one that it could read: a word that libpq refuses when it connects (sslmode=yes), a
/// placeholder, a host with a scheme or a port.
std::optional<std::string> mistaken_value(const ConninfoValues& values);

/// What `keyword` cannot be: "must be disable, ... or verify-full"; nothing when it can.
std::optional<std::string> value_problem(std::string_view keyword, std::string_view value);

/// Why libpq would find no server of this name: it has a scheme, a port, brackets, blanks.
std::optional<std::string> host_problem(std::string_view host);

/// True for "tcp://10.0.0.1:5432", as Kubernetes and Docker set <SERVICE>_PORT.
bool is_service_link(std::string_view value);

}  // namespace pgforeman
