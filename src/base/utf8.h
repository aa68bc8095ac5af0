#pragma once
// Text that must be valid UTF-8 where its source is not known to be. Fork: either.

#include <cstddef>
#include <string>
#include <string_view>

namespace pgforeman {

/// Bytes of the valid sequence at the start of `text`, which is not empty; 0 when there is none.
std::size_t utf8_length(std::string_view text);

/// `text` with every byte that is not part of a valid UTF-8 sequence (overlong forms, surrogates
/// and what lies beyond U+10FFFF included) replaced by U+FFFD.
std::string to_valid_utf8(std::string_view text);

}  // namespace pgforeman
