#include "base/duration.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>

namespace pgforeman {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr std::array<Unit, 4> kUnits = {{{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

// Beyond this a fraction cannot be a whole number of milliseconds anyway (1h = 36e5 ms has five
// factors of ten), unless its tail is zeros.
constexpr std::size_t kMaxFractionDigits = 9;

std::string_view take_digits(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && text[n] >= '0' && text[n] <= '9') ++n;
  const std::string_view digits = text.substr(0, n);
  text.remove_prefix(n);
  return digits;
}

/// Milliseconds of 0.`digits` units; -1 when that is no whole number of them.
std::int64_t fraction_ms(std::string_view digits, std::int64_t unit_ms) {
  while (!digits.empty() && digits.back() == '0') digits.remove_suffix(1);
  if (digits.size() > kMaxFractionDigits) return -1;
  std::int64_t numerator = 0;
  std::int64_t denominator = 1;
  for (const char digit : digits) {
    numerator = numerator * 10 + (digit - '0');
    denominator *= 10;
  }
  return numerator * unit_ms % denominator == 0 ? numerator * unit_ms / denominator : -1;
}

}  // namespace

Parsed<Millis> parse_duration(std::string_view text) {
  using Result = Parsed<Millis>;
  if (text.empty()) return Result::wrong("is empty");
  if (text.front() == '-') return Result::wrong("is negative");
  const std::string_view whole = take_digits(text);
  if (whole.empty()) return Result::wrong("does not start with a number");
  std::string_view fraction;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    fraction = take_digits(text);
    if (fraction.empty()) return Result::wrong("has no digits after its point");
  }
  if (text.empty()) return Result::wrong("has no unit");
  const Unit* unit = nullptr;
  for (const Unit& candidate : kUnits) {
    if (candidate.name == text) unit = &candidate;
  }
  if (unit == nullptr) return Result::wrong("does not end in a unit of ms, s, m or h");

  std::int64_t count = 0;
  const auto parsed = std::from_chars(whole.data(), whole.data() + whole.size(), count);
  // One unit of room is left for the fraction.
  if (parsed.ec != std::errc() || count >= std::numeric_limits<std::int64_t>::max() / unit->ms) {
    return Result::wrong("is too long");
  }
  const std::int64_t extra = fraction_ms(fraction, unit->ms);
  if (extra < 0) return Result::wrong("is no whole number of milliseconds");
  return Result::ok(Millis{count * unit->ms + extra});
}

std::string format_duration(Millis duration) {
  const std::int64_t ms = duration.count();
  if (ms == 0) return "0s";
  for (const Unit& unit : kUnits) {
    if (ms % unit.ms == 0) return std::to_string(ms / unit.ms) + std::string(unit.name);
  }
  return {};  // unreachable: every number is a whole number of milliseconds
}

}  // namespace pgforeman
