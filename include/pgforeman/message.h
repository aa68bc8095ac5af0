#pragma once
// A message as its handler gets it. Plain values; not thread-safe.

#include <chrono>
#include <cstdint>
#include <string>

namespace pgforeman {

struct Message {
  std::int64_t id = 0;     ///< unique in its database; may be reused after a restored backup
  int attempt = 1;         ///< number of this attempt, from 1
  std::int64_t fence = 0;  ///< grows with each claim of this message, counted or not
  /// Wall-clock time; reading the table limits it to the years 1 to 9999.
  std::chrono::sys_time<std::chrono::microseconds> enqueued_at;
  std::string payload;  ///< JSON text as it was sent
  std::string headers;  ///< JSON object text; "{}" if the sender gave none
};

}  // namespace pgforeman
