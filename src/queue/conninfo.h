#pragma once
// Builds the settings that libpq gets: those of the user, and our defaults for the others.

#include <string>

#include "queue/connection.h"

namespace pgforeman {

/// Returns a keyword string for libpq, from a URL, a keyword string or nothing. Settings of the
/// user, there or in libpq's own variables, win over our defaults. Throws DatabaseError::connection
/// for text that cannot be read, and repeats none of it: it may hold a password. Never log the
/// result.
std::string complete_conninfo(const ConnectionSettings& settings);

}  // namespace pgforeman
