#pragma once
// Reads JSON from outside, perhaps from another version of pgforeman, and makes JSON safe for a
// terminal. A missing member, or a member of another type, reads as an empty value. Pure.

#include <nlohmann/json.hpp>
#include <string>

namespace pgforeman {

using Json = nlohmann::ordered_json;

/// Returns the member, of any type; null if it is missing.
const Json& field(const Json& object, const char* key);
/// Returns the member as a number; 0 if it is missing or no number.
double number(const Json& object, const char* key);
std::int64_t integer(const Json& object, const char* key);
bool flag(const Json& object, const char* key);
/// Returns the member as it is; empty if it is missing or no string.
std::string raw_text(const Json& object, const char* key);
/// Returns raw_text() on one line, safe for a terminal.
std::string words(const Json& object, const char* key);
/// Returns the member; empty if it is missing or no object.
Json member(const Json& object, const char* key);

/// Prints one line, safe for a terminal: escapes control characters, replaces invalid UTF-8.
std::string safe_dump(const Json& json);
/// Returns safe_dump() of a string: in quotes.
inline std::string json_text(const std::string& text) {
  return safe_dump(Json(text));
}

}  // namespace pgforeman
