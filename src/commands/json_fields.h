#pragma once
// Reads JSON from outside, perhaps of another version. A missing member, or one of another type,
// gives an empty value. Also prints JSON for a terminal. Pure.

#include <nlohmann/json.hpp>
#include <string>

namespace pgforeman {

using Json = nlohmann::ordered_json;

/// The member, of whatever type; null when it is missing.
const Json& field(const Json& object, const char* key);
/// The member as a number; 0 when it is missing or no number.
double number(const Json& object, const char* key);
std::int64_t integer(const Json& object, const char* key);
bool flag(const Json& object, const char* key);
/// A string as it is; empty when it is missing or no string.
std::string raw_words(const Json& object, const char* key);
/// The same on one line, for a terminal.
std::string words(const Json& object, const char* key);
/// An object; empty when it is missing or none.
Json member(const Json& object, const char* key);

/// One line, safe for a terminal. Escapes control characters and replaces invalid UTF-8.
std::string safe_dump(const Json& json);
/// The same of one text, in quotes.
inline std::string json_text(const std::string& text) {
  return safe_dump(Json(text));
}

}  // namespace pgforeman
