#pragma once
// Durations and sizes as people write them: a number with its unit, `500ms`, `1.5h`, `512MiB`. A
// duration needs one of the units ms, s, m, h. A size has KiB, MiB or GiB, or no unit for bytes; MB
// is refused because it has two meanings.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "text/parsed.h"

namespace pgforeman {

/// Parses a whole decimal number, perhaps negative; returns nothing for any other text.
std::optional<std::int64_t> parse_number(std::string_view text);

/// A number of bytes; its own type, so that the option table can tell a size from a number.
struct ByteSize {
  std::int64_t bytes = 0;
  bool operator==(const ByteSize&) const = default;
};

/// Parse digits, an optional fraction, then the unit, with nothing around or between. Refuse what
/// is not a whole number of milliseconds or bytes, or does not fit into 64 bits.
Parsed<std::chrono::milliseconds> parse_duration(std::string_view text);
Parsed<ByteSize> parse_byte_size(std::string_view text);

/// Return the shortest exact form in whole units: `1500ms`, `90s`, `0s`; `1536MiB`, `1000`, `0`.
std::string format_duration(std::chrono::milliseconds duration);
std::string format_byte_size(ByteSize size);

}  // namespace pgforeman
