#pragma once
// What the rows of the table are written with.

#include <cstdint>

#include "options/table.h"

namespace pgforeman {

// Durations are in milliseconds, sizes in bytes.
inline constexpr std::int64_t kSecond = 1000;
inline constexpr std::int64_t kMinute = 60 * kSecond;
inline constexpr std::int64_t kHour = 60 * kMinute;
inline constexpr std::int64_t kWeek = 168 * kHour;
inline constexpr std::int64_t kTebibyte = std::int64_t{1} << 40U;

inline constexpr Commands kRun = commands_of(Command::run);

}  // namespace pgforeman
