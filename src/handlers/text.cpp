#include "handlers/text.h"

#include <cstdint>
#include <cstdlib>

namespace pgforeman {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::size_t kExcerptBytes = 160;

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

/// Bytes of the well-formed character at the start of `text` (RFC 3629); 0 when there is none.
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead == 0) return 0;
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) return 0;
  }
  // Overlong forms, surrogates, and what lies above U+10FFFF.
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;
  if (lead == 0xED && byte(1) > 0x9F) return 0;
  if (lead == 0xF0 && byte(1) < 0x90) return 0;
  if (lead == 0xF4 && byte(1) > 0x8F) return 0;
  return length;
}

}  // namespace

std::string clean_text(std::string_view raw) {
  std::string clean;
  clean.reserve(raw.size());
  while (!raw.empty()) {
    const std::size_t length = character_length(raw);
    if (length == 0) {
      clean += kReplacement;
      raw.remove_prefix(1);
    } else {
      clean += raw.substr(0, length);
      raw.remove_prefix(length);
    }
  }
  return clean;
}

std::string_view first_bytes(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = limit;
  while (end > 0 && is_continuation(text[end])) --end;
  return text.substr(0, end);
}

std::string_view last_lines(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t begin = text.size() - limit;
  if (text[begin - 1] != '\n') {
    const std::size_t newline = text.find('\n', begin);
    if (newline != std::string_view::npos && newline + 1 < text.size()) begin = newline + 1;
  }
  while (begin < text.size() && is_continuation(text[begin])) ++begin;
  return text.substr(begin);
}

std::string_view trim_end(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

std::string excerpt(std::string_view raw) {
  const bool cut = raw.size() > kExcerptBytes;
  // A few bytes more than are shown, so that the cut never makes half a character look like a bad
  // one.
  const std::string clean = clean_text(raw.substr(0, kExcerptBytes + 4));
  std::string quoted = "\"";
  for (const char c : cut ? first_bytes(clean, kExcerptBytes) : std::string_view(clean)) {
    quoted += c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
  }
  return quoted + (cut ? "...\"" : "\"");
}

std::string decimal_seconds(Millis duration) {
  const std::int64_t ms = duration.count();
  std::string text = ms < 0 ? "-" : "";
  text += std::to_string(std::abs(ms / 1000));
  if (const std::int64_t rest = std::abs(ms % 1000); rest != 0) {
    std::string digits = std::to_string(1000 + rest).substr(1);
    while (digits.back() == '0') digits.pop_back();
    text += "." + digits;
  }
  return text;
}

}  // namespace pgforeman
