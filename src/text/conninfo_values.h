#pragma once
// What libpq reads in a connection string, as values, and back. libpq's own parser and nothing else
// of it: no connection is made here. Values may hold a password: never log them.

#include <map>
#include <optional>
#include <string>

namespace pgforeman {

using ConninfoValues = std::map<std::string, std::string>;  ///< by keyword

/// Nothing if libpq cannot read it. Gives no reason: libpq's message quotes what it could not read.
std::optional<ConninfoValues> parse_conninfo(const std::string& conninfo);

/// True for a word that libpq knows: "host", "sslmode".
bool is_conninfo_keyword(const std::string& word);

/// What libpq takes where a string says nothing: its own variables, its defaults.
ConninfoValues conninfo_defaults();

/// A string of keyword='value' pairs.
std::string conninfo_text(const ConninfoValues& values);

}  // namespace pgforeman
