#pragma once
// What libpq is finally given: the user's own settings, and ours where the user said nothing.

#include <string>

#include "queue/connection.h"

namespace pgforeman {

/// A keyword string for libpq, from a URL, a keyword string or nothing. What the user set, in it or
/// in libpq's own variables, wins over our defaults. Throws DatabaseError::connection when it
/// cannot be read, without repeating any of it: it may hold a password. Contains secrets: never log
/// it.
std::string complete_conninfo(const ConnectionSettings& settings);

}  // namespace pgforeman
