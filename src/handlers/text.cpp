#include "handlers/text.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace pgforeman {
namespace {

constexpr std::size_t kExcerptBytes = 160;

}  // namespace

std::string clean_text(std::string_view raw) {
  std::string clean = to_valid_utf8(raw);
  // NUL is valid UTF-8, but a PostgreSQL text cannot hold it.
  for (std::size_t at = clean.find('\0'); at != std::string::npos; at = clean.find('\0', at)) {
    clean.replace(at, 1, kReplacement);
  }
  return clean;
}

std::string_view last_lines(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t begin = text.size() - limit;
  if (text[begin - 1] != '\n') {
    const std::size_t newline = text.find('\n', begin);
    if (newline != std::string_view::npos && newline + 1 < text.size()) begin = newline + 1;
  }
  while (begin < text.size() && !starts_character(text[begin])) ++begin;
  return text.substr(begin);
}

void join_json_lines(std::string& json) {
  // Many readers take a carriage return as the end of a line, too.
  std::replace_if(
      json.begin(), json.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
}

std::string_view trim_end(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

std::string excerpt(std::string_view raw) {
  const bool cut = raw.size() > kExcerptBytes;
  // Four more bytes than are shown, so that a character is not cut in half before it is cleaned.
  const std::string clean = clean_text(raw.substr(0, kExcerptBytes + 4));
  std::string quoted = "\"";
  for (const char c : cut ? utf8_prefix(clean, kExcerptBytes) : std::string_view(clean)) {
    quoted += c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
  }
  return quoted + (cut ? "...\"" : "\"");
}

std::string decimal_seconds(Millis duration) {
  std::array<char, 32> text{};
  const double seconds = static_cast<double>(duration.count()) / 1000.0;
  const auto end = std::to_chars(text.begin(), text.end(), seconds, std::chars_format::fixed);
  return {text.begin(), end.ptr};
}

}  // namespace pgforeman
