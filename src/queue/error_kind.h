#pragma once
// From a SQLSTATE to what recovery needs to know. Pure. Never by the text: it is translated.

#include <string>
#include <string_view>

#include "queue/database_error.h"

namespace pgforeman {

DatabaseError::Kind kind_of(std::string_view sqlstate);

/// The error that is thrown for it: the server's primary message on one line, without details (they
/// may quote a payload), and what to do about it where that is known.
DatabaseError to_database_error(std::string_view sqlstate, std::string_view server_text);

/// A server's or libpq's text as one line, its lines joined by semicolons.
std::string one_line(std::string_view text);

}  // namespace pgforeman
