#pragma once
// A number with its unit, as people write settings: digits, optionally a fraction, then the unit,
// with nothing around or between. Durations and sizes are made of it.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/parsed.h"

namespace pgforeman {

struct QuantityUnit {
  std::string_view name;  ///< "" is a bare number
  std::int64_t factor;    ///< in the smallest unit
};

/// A kind of quantity, and the words of its mistakes.
struct Quantity {
  std::span<const QuantityUnit> units;  ///< the largest first
  std::string_view unit_names;          ///< "ms, s, m or h"
  std::string_view smallest;            ///< "milliseconds"
  std::string_view too_much;            ///< "is too long"
};

/// Parses `text` into the smallest unit. Exact: what is no whole number of it is refused, as is
/// what does not fit.
Parsed<std::int64_t> parse_quantity(const Quantity& kind, std::string_view text);

/// The shortest exact form in whole units; `count` is not 0 and a multiple of the smallest.
std::string format_quantity(const Quantity& kind, std::int64_t count);

}  // namespace pgforeman
