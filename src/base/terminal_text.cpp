#include "base/terminal_text.h"

#include <fmt/format.h>

#include <cstdint>

#include "base/utf8.h"

namespace pgforeman {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// The code point of the first `length` bytes, which are one valid sequence.
std::uint32_t code_point(std::string_view text, std::size_t length) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (length == 1) return byte(0);
  std::uint32_t code = byte(0) & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) code = code << 6U | (byte(i) & 0x3FU);
  return code;
}

bool is_steering(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x61C || code == 0x200E ||
         code == 0x200F || (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

/// Copies `text`; `replaced` stands for each steering character.
template <typename Replaced>
std::string copied(std::string_view text, Replaced&& replaced) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::uint32_t code = length == 0 ? 0 : code_point(text, length);
    if (length == 0) {
      out += kReplacement;
    } else if (is_steering(code)) {
      out += replaced(code);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace

std::string terminal_text(std::string_view text) {
  return copied(
      text, [](std::uint32_t code) { return code < 0x80 ? std::string_view(" ") : kReplacement; });
}

bool is_terminal_safe(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = safe_character(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string terminal_json(std::string_view json) {
  return copied(json, [](std::uint32_t code) {
    // Valid JSON has ASCII controls between its tokens only.
    return code < 0x20 ? std::string(" ") : fmt::format("\\u{:04x}", code);
  });
}

std::size_t safe_character(std::string_view text) {
  const std::size_t length = utf8_length(text);
  return length == 0 || is_steering(code_point(text, length)) ? 0 : length;
}

}  // namespace pgforeman
