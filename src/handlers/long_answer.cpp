#include "handlers/long_answer.h"

#include "handlers/json_line.h"

namespace pgforeman {
namespace {

constexpr std::size_t kLongest = std::size_t{64} * 1024 * 1024;
constexpr std::size_t kKeptOfValue = std::size_t{8} * 1024;

}  // namespace

bool LongAnswer::feed(std::string_view chunk) {
  seen_ += chunk.size();
  if (seen_ > kLongest) return false;
  for (const char c : chunk) {
    if (!add(c)) return false;
  }
  return true;
}

bool LongAnswer::add(char c) {
  if (skipping_ && depth_ == 1 && !in_string_ && (c == ',' || c == '}')) skipping_ = false;
  if (!skipping_) kept_ += c;
  follow(c);
  if (kept_.size() < limit_) return true;
  if (skipping_ || value_at_ == 0) return false;
  cut_value();
  return kept_.size() < limit_;
}

void LongAnswer::follow(char c) {
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
    }
    return;
  }
  if (c == '"') in_string_ = true;
  if (c == '{' || c == '[') ++depth_;
  if (c == '}' || c == ']') --depth_;
  if (depth_ == 1 && c == ':' && !skipping_) value_at_ = kept_.size();
  if (depth_ == 1 && c == ',') value_at_ = 0;
}

void LongAnswer::cut_value() {
  std::string value = kept_.substr(value_at_, kKeptOfValue);
  value.erase(0, value.find_first_not_of(" \t\r"));
  kept_.resize(value_at_);
  if (!value.empty() && value.front() == '"') {
    // Keeps a string a string; a trailing backslash must not escape the new quote.
    while (value.back() == '\\') value.pop_back();
    kept_ += value + '"';
  } else {
    kept_ += json_string(value);
  }
  skipping_ = true;
  value_at_ = 0;
}

}  // namespace pgforeman
