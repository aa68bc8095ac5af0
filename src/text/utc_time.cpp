#include "text/utc_time.h"

#include <fmt/format.h>
#include <time.h>

namespace pgforeman {
namespace {

template <typename Duration>
std::string text(std::chrono::sys_time<Duration> time, int digits) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  const time_t seconds = whole.time_since_epoch().count();
  struct tm parts {};
  if (::gmtime_r(&seconds, &parts) == nullptr) return "";
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:0{}}Z", parts.tm_year + 1900LL,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     (time - whole).count(), digits);
}

}  // namespace

std::string utc_text(std::chrono::sys_time<std::chrono::microseconds> time) {
  return text(time, 6);
}

std::string utc_text(std::chrono::sys_time<std::chrono::milliseconds> time) {
  return text(time, 3);
}

}  // namespace pgforeman
