#pragma once
// The database's address as libpq reads it. No connection is made here. Nothing in this file's
// answers ever quotes a connection string: it may hold a password, and libpq's own messages quote
// what they could not parse.

#include <optional>
#include <string>
#include <vector>

#include "options/environment.h"
#include "text/parsed.h"

namespace pgforeman {

/// What keeps libpq from using `conninfo` (a URL or keyword=value pairs); nothing when it can.
std::optional<std::string> conninfo_problem(const std::string& conninfo);

/// Where the database is, for a log: no user and no password. Hosts and ports may be lists.
struct DatabasePlace {
  std::string host, port, name;
};
DatabasePlace database_place(const std::string& conninfo);

/// `conninfo` with `password` where it has none of its own, as libpq would have taken it from
/// PGPASSWORD. One that cannot be parsed comes back as it is.
std::string with_password(const std::string& conninfo, const std::string& password);

/// Reads a connection string from a file: one line, blanks and line ends around it dropped, checked
/// as above. The problem completes "PATH: ...".
Parsed<std::string> read_conninfo_file(const std::string& path);

/// What is wrong with libpq's own variables (PGHOST, PGPORT, ...) that it will use beside
/// `conninfo`: complete errors, that start with the variable's name.
std::vector<std::string> libpq_variable_mistakes(const Environment& environment,
                                                 const std::string& conninfo);

/// The variable that holds a database's address for others (DATABASE_URL), where nothing says to
/// pgforeman or libpq where the database is; else nothing.
std::optional<std::string> unread_address(const Environment& environment);

}  // namespace pgforeman
