#pragma once
// Wall time as text. Any thread, before and after fork.

#include <chrono>
#include <string>

namespace pgforeman {

/// ISO 8601 in UTC: "2024-05-06T07:08:09.123456Z", or "2024-05-06T07:08:09.123Z". For years of four
/// digits.
std::string utc_text(std::chrono::sys_time<std::chrono::microseconds> time);
std::string utc_text(std::chrono::sys_time<std::chrono::milliseconds> time);

}  // namespace pgforeman
