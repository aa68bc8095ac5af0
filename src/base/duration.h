#pragma once
// Durations as people write them: a number with its unit, `500ms`, `30s`, `5m`, `1.5h`. A bare
// number is refused, because its unit would be a guess.

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/parsed.h"

namespace pgforeman {

/// Parses `text`: digits, optionally a fraction, then one of ms, s, m, h, with nothing around or
/// between. Exact: what is no whole number of milliseconds is refused, as is what does not fit.
Parsed<Millis> parse_duration(std::string_view text);

/// The shortest exact form in whole units: `1500ms`, `90s`, `5m`, `24h`, `0s`.
std::string format_duration(Millis duration);

}  // namespace pgforeman
