#pragma once
// Checks and reads the database's address, without a connection. No result but with_password() and
// read_conninfo_file() quotes a connection string, as it may hold a password. libpq's own messages
// are not used, as they quote what libpq could not parse.

#include <optional>
#include <string>
#include <vector>

#include "options/environment.h"
#include "text/parsed.h"

namespace pgforeman {

/// Returns why libpq cannot use `conninfo` (a URL or keyword=value pairs); nothing if it can.
std::optional<std::string> conninfo_problem(const std::string& conninfo);

/// Place of a database for a log, without user and password. Hosts and ports may be lists.
struct DatabasePlace {
  std::string host, port, name;
};
DatabasePlace database_place(const std::string& conninfo);

/// Adds `password` to `conninfo` if that has none, as libpq does with PGPASSWORD. Returns a
/// `conninfo` that cannot be parsed unchanged.
std::string with_password(const std::string& conninfo, const std::string& password);

/// Reads a connection string from a file of one line, without blanks and line ends around it, and
/// checks it with conninfo_problem(). The problem completes "PATH: ...".
Parsed<std::string> read_conninfo_file(const std::string& path);

/// Checks libpq's own variables (PGHOST, PGPORT, ...) that libpq will use beside `conninfo`.
/// Returns complete errors, each of which starts with the variable's name.
std::vector<std::string> libpq_variable_mistakes(const Environment& environment,
                                                 const std::string& conninfo);

/// Returns a variable with a database address for other programs (DATABASE_URL) if no variable of
/// libpq says where the database is; else nothing.
std::optional<std::string> foreign_address_variable(const Environment& environment);

}  // namespace pgforeman
