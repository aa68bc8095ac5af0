#pragma once
// Text that must be valid UTF-8 where its source is not known to be. Fork: either.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pgforeman {

/// U+FFFD, which stands for what is no UTF-8.
inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Utf8Character {
  std::size_t bytes = 0;  ///< 0: no valid sequence
  std::uint32_t code = 0;
};

/// The character at the start of `text`. Overlong forms, surrogates and what lies beyond U+10FFFF
/// are not valid.
Utf8Character utf8_character(std::string_view text);

/// False for the second and later bytes of a character.
inline bool starts_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
}

/// The first `limit` bytes of valid UTF-8, or up to three less: never half a character.
std::string_view first_bytes(std::string_view text, std::size_t limit);

/// `text` with every byte that is not part of a valid sequence replaced by U+FFFD.
std::string to_valid_utf8(std::string_view text);

}  // namespace pgforeman
