#pragma once
// Checks and repairs text that must be valid UTF-8. Fork: either.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pgforeman {

/// U+FFFD, which replaces invalid UTF-8.
inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Utf8Character {
  std::size_t bytes = 0;  ///< 0 if the sequence is invalid
  std::uint32_t code = 0;
};

/// Decodes the first character of `text`. Overlong forms, surrogates and codes above U+10FFFF are
/// invalid.
Utf8Character utf8_character(std::string_view text);

/// False for the second and later bytes of a character.
inline bool starts_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
}

/// Returns the first `limit` bytes of valid UTF-8, or up to three less to keep characters whole.
std::string_view utf8_prefix(std::string_view text, std::size_t limit);

/// Returns `text` with each byte outside of a valid sequence replaced by U+FFFD.
std::string to_valid_utf8(std::string_view text);

}  // namespace pgforeman
