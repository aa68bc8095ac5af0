#include "base/duration.h"

#include <array>
#include <utility>

#include "base/quantity.h"

namespace pgforeman {
namespace {

constexpr std::array<QuantityUnit, 4> kDurationUnits = {
    {{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
constexpr Quantity kDuration = {kDurationUnits, "ms, s, m or h", "milliseconds", "is too long"};

}  // namespace

Parsed<Millis> parse_duration(std::string_view text) {
  auto ms = parse_quantity(kDuration, text);
  return ms ? Parsed<Millis>::ok(Millis{*ms.value}) : Parsed<Millis>::wrong(std::move(ms.problem));
}

std::string format_duration(Millis duration) {
  return duration.count() == 0 ? "0s" : format_quantity(kDuration, duration.count());
}

}  // namespace pgforeman
