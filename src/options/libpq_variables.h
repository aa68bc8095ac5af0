#pragma once
// libpq's own variables (PGHOST, PGPORT, ...) as platforms mangle them, and addresses under names
// that pgforeman does not read. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "options/environment.h"

namespace pgforeman {

/// What is wrong with the variables that libpq will use beside `conninfo`: complete errors, that
/// start with the variable's name.
std::vector<std::string> libpq_variable_mistakes(const Environment& environment,
                                                 const std::string& conninfo);

/// The variable that holds a database's address for others (DATABASE_URL), where nothing says to
/// pgforeman or libpq where the database is; else nothing.
std::optional<std::string> unread_address(const Environment& environment);

}  // namespace pgforeman
