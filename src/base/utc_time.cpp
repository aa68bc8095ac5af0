#include "base/utc_time.h"

#include <fmt/format.h>
#include <time.h>

namespace pgforeman {

std::string utc_text(WallTime time, int digits) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  const time_t seconds = whole.time_since_epoch().count();
  const auto micros = (time - whole).count();
  struct tm parts {};
  if (::gmtime_r(&seconds, &parts) == nullptr) return "";
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:0{}}Z", parts.tm_year + 1900LL,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     digits > 3 ? micros : micros / 1000, digits);
}

}  // namespace pgforeman
