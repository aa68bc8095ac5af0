#pragma once
// Sizes of memory as people write them: `512MiB`, `1.5GiB`, or a bare number of bytes. Powers of
// two only: there are two meanings of MB.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/parsed.h"

namespace pgforeman {

/// Bytes; a type of its own, so that an option's table knows a size from a number.
struct ByteSize {
  std::int64_t bytes = 0;
  bool operator==(const ByteSize&) const = default;
};

/// Parses `text`: digits, optionally a fraction, then KiB, MiB, GiB or nothing for bytes. Exact:
/// what is no whole number of bytes is refused, as is what does not fit.
Parsed<ByteSize> parse_byte_size(std::string_view text);

/// The shortest exact form in whole units: `512MiB`, `1536MiB`, `2GiB`, `1000`, `0`.
std::string format_byte_size(ByteSize size);

}  // namespace pgforeman
