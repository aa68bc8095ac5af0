#include "base/quantity.h"

#include <charconv>
#include <limits>

namespace pgforeman {
namespace {

// Beyond this a fraction of an hour cannot be a whole number of milliseconds anyway (1h = 36e5 ms
// has five factors of ten), unless its tail is zeros; of a GiB more would not be read, and the
// product must fit into 64 bits.
constexpr std::size_t kMaxFractionDigits = 9;

std::string_view take_digits(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && text[n] >= '0' && text[n] <= '9') ++n;
  const std::string_view digits = text.substr(0, n);
  text.remove_prefix(n);
  return digits;
}

/// The smallest units in 0.`digits` times `factor`; -1 when that is no whole number of them.
std::int64_t fraction_of(std::string_view digits, std::int64_t factor) {
  while (!digits.empty() && digits.back() == '0') digits.remove_suffix(1);
  if (digits.size() > kMaxFractionDigits) return -1;
  std::int64_t numerator = 0;
  std::int64_t denominator = 1;
  for (const char digit : digits) {
    numerator = numerator * 10 + (digit - '0');
    denominator *= 10;
  }
  return numerator * factor % denominator == 0 ? numerator * factor / denominator : -1;
}

}  // namespace

Parsed<std::int64_t> parse_quantity(const Quantity& kind, std::string_view text) {
  using Result = Parsed<std::int64_t>;
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
  const QuantityUnit* unit = nullptr;
  for (const QuantityUnit& candidate : kind.units) {
    if (candidate.name == text) unit = &candidate;
  }
  if (unit == nullptr && text.empty()) return Result::wrong("has no unit");
  if (unit == nullptr) {
    return Result::wrong("does not end in a unit of " + std::string(kind.unit_names));
  }
  std::int64_t count = 0;
  const auto parsed = std::from_chars(whole.data(), whole.data() + whole.size(), count);
  // One unit of room is left for the fraction.
  if (parsed.ec != std::errc() ||
      count >= std::numeric_limits<std::int64_t>::max() / unit->factor) {
    return Result::wrong(std::string(kind.too_much));
  }
  const std::int64_t extra = fraction_of(fraction, unit->factor);
  if (extra < 0) return Result::wrong("is no whole number of " + std::string(kind.smallest));
  return Result::ok(count * unit->factor + extra);
}

std::string format_quantity(const Quantity& kind, std::int64_t count) {
  for (const QuantityUnit& unit : kind.units) {
    if (count % unit.factor == 0)
      return std::to_string(count / unit.factor) + std::string(unit.name);
  }
  return {};  // unreachable: the smallest unit divides everything
}

}  // namespace pgforeman
