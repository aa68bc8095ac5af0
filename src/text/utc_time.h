#pragma once
// Prints wall-clock time. Callable from any thread. Fork: either.

#include <chrono>
#include <string>

namespace pgforeman {

/// Return ISO 8601 in UTC, such as "2024-05-06T07:08:09.123456Z" or "2024-05-06T07:08:09.123Z". The
/// year must have at most four digits.
std::string utc_text(std::chrono::sys_time<std::chrono::microseconds> time);
std::string utc_text(std::chrono::sys_time<std::chrono::milliseconds> time);

}  // namespace pgforeman
