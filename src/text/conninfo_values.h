#pragma once
// Converts a connection string to its values, and back, with libpq's own parser. Makes no
// connection. Values may hold a password: never log them.

#include <map>
#include <optional>
#include <string>

namespace pgforeman {

using ConninfoValues = std::map<std::string, std::string>;  ///< by keyword

/// Returns nothing if libpq cannot read it. Gives no reason, as libpq's message quotes the string.
std::optional<ConninfoValues> parse_conninfo(const std::string& conninfo);

/// True for a keyword of libpq: "host", "sslmode".
bool is_conninfo_keyword(const std::string& word);

/// Returns the values that libpq adds to a string: from its PG* variables and its defaults.
ConninfoValues conninfo_defaults();

/// Returns a string of keyword='value' pairs.
std::string conninfo_text(const ConninfoValues& values);

}  // namespace pgforeman
