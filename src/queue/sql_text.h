#pragma once
// Values as the text that PostgreSQL reads them from. Pure.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "system/clock.h"

namespace pgforeman {

/// "{1,2,3}"
std::string array_text(std::span<const std::int64_t> values);

/// {"a","b",NULL}: every element quoted, so that none is mistaken for NULL or a nested array.
std::string array_text(std::span<const std::optional<std::string>> values);
std::string array_text(std::span<const std::string> values);

/// PostgreSQL's text has no NUL, and neither has its jsonb.
std::string without_nul(std::string text);

/// A name as an identifier, whatever it holds: "a""b".
std::string quoted_identifier(std::string_view name);

/// An interval: "1500 milliseconds".
std::string interval_text(Millis value);

}  // namespace pgforeman
