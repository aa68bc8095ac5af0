#include "text/quantity.h"

#include <array>
#include <charconv>
#include <limits>
#include <span>

namespace pgforeman {
namespace {

struct Unit {
  std::string_view name;  ///< empty for a bare number
  std::int64_t factor;    ///< in the smallest unit
};

/// A kind of quantity, with the words for its error texts.
struct Quantity {
  std::span<const Unit> units;  ///< largest first
  std::string_view unit_names;
  std::string_view smallest;
  std::string_view too_much;
};

constexpr std::array<Unit, 4> kDurationUnits = {
    {{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
constexpr Quantity kDuration = {kDurationUnits, "ms, s, m or h", "milliseconds", "is too long"};
constexpr std::array<Unit, 4> kSizeUnits = {
    {{"GiB", std::int64_t{1} << 30U}, {"MiB", 1 << 20U}, {"KiB", 1 << 10U}, {"", 1}}};
constexpr Quantity kByteSize = {kSizeUnits, "KiB, MiB or GiB", "bytes", "is too large"};

// Zeros at the end do not count. A fraction of an hour with more digits is no whole number of
// milliseconds, as 1h = 36e5 ms has five factors of ten. Longer fractions of a GiB are refused, as
// the product must fit into 64 bits.
constexpr std::size_t kMaxFractionDigits = 9;

std::string_view take_digits(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && text[n] >= '0' && text[n] <= '9') ++n;
  const std::string_view digits = text.substr(0, n);
  text.remove_prefix(n);
  return digits;
}

/// Returns 0.`digits` times `factor`, in smallest units; -1 if that is no whole number.
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

template <typename T>
Parsed<T> parse_quantity(const Quantity& kind, std::string_view text) {
  using Result = Parsed<T>;
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
  const Unit* unit = nullptr;
  for (const Unit& candidate : kind.units) {
    if (candidate.name == text) unit = &candidate;
  }
  if (unit == nullptr && text.empty()) return Result::wrong("has no unit");
  if (unit == nullptr) {
    return Result::wrong("does not end in a unit of " + std::string(kind.unit_names));
  }
  std::int64_t count = 0;
  const auto parsed = std::from_chars(whole.data(), whole.data() + whole.size(), count);
  // The limit is one unit below the maximum, so that adding the fraction cannot overflow.
  if (parsed.ec != std::errc() ||
      count >= std::numeric_limits<std::int64_t>::max() / unit->factor) {
    return Result::wrong(std::string(kind.too_much));
  }
  const std::int64_t extra = fraction_of(fraction, unit->factor);
  if (extra < 0) return Result::wrong("is no whole number of " + std::string(kind.smallest));
  return Result::ok(T{count * unit->factor + extra});
}

std::string format_quantity(const Quantity& kind, std::int64_t count) {
  for (const Unit& unit : kind.units) {
    if (count % unit.factor == 0)
      return std::to_string(count / unit.factor) + std::string(unit.name);
  }
  return {};  // unreachable: the smallest unit divides everything
}

}  // namespace

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

Parsed<std::chrono::milliseconds> parse_duration(std::string_view text) {
  return parse_quantity<std::chrono::milliseconds>(kDuration, text);
}

Parsed<ByteSize> parse_byte_size(std::string_view text) {
  return parse_quantity<ByteSize>(kByteSize, text);
}

std::string format_duration(std::chrono::milliseconds duration) {
  return duration.count() == 0 ? "0s" : format_quantity(kDuration, duration.count());
}

std::string format_byte_size(ByteSize size) {
  return size.bytes == 0 ? "0" : format_quantity(kByteSize, size.bytes);
}

}  // namespace pgforeman
