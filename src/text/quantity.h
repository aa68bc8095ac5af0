#pragma once
// Durations and sizes as people write them: a number with its unit, `500ms`, `1.5h`, `512MiB`. A
// duration's unit is one of ms, s, m, h; without one it would be a guess. A size's is KiB, MiB or
// GiB (powers of two only: there are two meanings of MB), or none for bytes.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "text/parsed.h"

namespace pgforeman {

/// A whole decimal number, perhaps negative, and nothing else.
std::optional<std::int64_t> parse_number(std::string_view text);

/// Bytes; a type of its own, so that an option's table knows a size from a number.
struct ByteSize {
  std::int64_t bytes = 0;
  bool operator==(const ByteSize&) const = default;
};

/// Parse digits, optionally a fraction, then the unit, with nothing around or between. Exact: what
/// is no whole number of milliseconds or bytes is refused, as is what does not fit.
Parsed<std::chrono::milliseconds> parse_duration(std::string_view text);
Parsed<ByteSize> parse_byte_size(std::string_view text);

/// The shortest exact form in whole units: `1500ms`, `90s`, `24h`, `0s`; `1536MiB`, `1000`, `0`.
std::string format_duration(std::chrono::milliseconds duration);
std::string format_byte_size(ByteSize size);

}  // namespace pgforeman
