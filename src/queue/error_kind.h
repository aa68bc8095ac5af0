#pragma once
// Maps a SQLSTATE to a kind of error. Pure. Ignores the text, which the server translates.

#include <string>
#include <string_view>

#include "queue/database_error.h"

namespace pgforeman {

DatabaseError::Kind kind_of(std::string_view sqlstate);

/// True if the error of a row's change says that the row is at fault; else the server may be.
bool is_of_row(std::string_view sqlstate);

/// Returns the error for a SQLSTATE: the server's primary message on one line, and what to do where
/// that is known. Leaves out details, which may quote a payload.
DatabaseError to_database_error(std::string_view sqlstate, std::string_view server_text);

/// Returns a text of the server or of libpq as one line; semicolons join its lines.
std::string one_line(std::string_view text);

}  // namespace pgforeman
