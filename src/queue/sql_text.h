#pragma once
// Values as the text that PostgreSQL reads and writes. Pure.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "system/clock.h"

namespace pgforeman {

/// Returns "{1,2,3}".
std::string array_text(std::span<const std::int64_t> values);

/// Reads "{1,2,3}", an array of numbers without nulls.
std::vector<std::int64_t> numbers_of(std::string_view array);

/// Returns {"a","b",NULL}. Quotes every element, so that none is read as NULL or a nested array.
std::string array_text(std::span<const std::optional<std::string>> values);
std::string array_text(std::span<const std::string> values);

/// Removes NULs: PostgreSQL's text and jsonb cannot hold them.
std::string without_nul(std::string text);

/// Quotes a name as an identifier, with any characters in it: "a""b".
std::string quoted_identifier(std::string_view name);

/// Returns an interval: "1500 milliseconds".
std::string interval_text(Millis value);

/// Replaces characters that databases of some encodings cannot hold.
std::string ascii(std::string text);

}  // namespace pgforeman
