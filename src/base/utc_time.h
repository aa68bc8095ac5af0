#pragma once
// Wall time as text. Any thread, before and after fork.

#include <chrono>
#include <string>

namespace pgforeman {

/// Whatever a clock or a database says: microseconds since 1970.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;

/// ISO 8601 in UTC, as in "2024-05-06T07:08:09.123456Z", with 3 digits of the second's fraction or
/// with 6.
std::string utc_text(WallTime time, int digits);

}  // namespace pgforeman
