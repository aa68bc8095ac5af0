#include "text/terminal_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "text/utf8.h"

namespace pgforeman {
namespace {

bool is_control(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x61C || code == 0x200E ||
         code == 0x200F || (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

/// Copies `text`, with `replacement_of(code)` for each control character.
template <typename Replacement>
std::string with_controls_replaced(std::string_view text, Replacement&& replacement_of) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto [bytes, code] = utf8_character(text);
    if (bytes == 0) {
      out += kReplacement;
    } else if (is_control(code)) {
      out += replacement_of(code);
    } else {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(std::max<std::size_t>(1, bytes));
  }
  return out;
}

}  // namespace

std::string terminal_text(std::string_view text) {
  return with_controls_replaced(
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
  return with_controls_replaced(json, [](std::uint32_t code) {
    // Valid JSON has ASCII control characters only between its tokens.
    return code < 0x20 ? std::string(" ") : fmt::format("\\u{:04x}", code);
  });
}

std::size_t safe_character(std::string_view text) {
  const auto [bytes, code] = utf8_character(text);
  return is_control(code) ? 0 : bytes;  // `code` is U+0000 if there is no character
}

}  // namespace pgforeman
