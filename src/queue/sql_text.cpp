#include "queue/sql_text.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace pgforeman {

namespace {

void append_element(std::string& out, std::string_view value) {
  if (out.size() > 1) out += ',';
  out += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

}  // namespace

std::string array_text(std::span<const std::int64_t> values) {
  std::string out = "{";
  for (const std::int64_t value : values) {
    if (out.size() > 1) out += ',';
    out += std::to_string(value);
  }
  return out + '}';
}

std::vector<std::int64_t> numbers_of(std::string_view array) {
  std::vector<std::int64_t> numbers;
  const char* const end = array.data() + array.size();
  for (const char* at = array.data(); at != end;) {
    std::int64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error == std::errc{}) numbers.push_back(number);
    at = error == std::errc{} ? next : at + 1;
  }
  return numbers;
}

std::string array_text(std::span<const std::optional<std::string>> values) {
  std::string out = "{";
  for (const auto& value : values) {
    if (value) {
      append_element(out, *value);
    } else {
      out += out.size() > 1 ? ",NULL" : "NULL";
    }
  }
  return out + '}';
}

std::string array_text(std::span<const std::string> values) {
  std::string out = "{";
  for (const std::string& value : values) append_element(out, value);
  return out + '}';
}

std::string quoted_identifier(std::string_view name) {
  std::string text = "\"";
  for (const char letter : name) {
    if (letter == '"') text += '"';
    text += letter;
  }
  return text + '"';
}

std::string interval_text(Millis value) {
  return std::to_string(value.count()) + " milliseconds";
}

std::string without_nul(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), '\0'), text.end());
  return text;
}

std::string ascii(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) > 0x7e; }, '?');
  return text;
}

}  // namespace pgforeman
