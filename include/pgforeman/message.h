#pragma once
// A message as its handler gets it. Plain values; no thread-safety of their own.

#include <chrono>
#include <cstdint>
#include <string>

namespace pgforeman {

struct Message {
  std::int64_t id = 0;     ///< unique in its database, but ids may be reused after a restore
  int attempt = 1;         ///< starts at 1
  std::int64_t fence = 0;  ///< grows with every claim of this message, also an uncounted one
  /// Wall clock; in the years 1 to 9999, whatever the table says.
  std::chrono::sys_time<std::chrono::microseconds> enqueued_at;
  std::string payload;  ///< JSON text as it was sent
  std::string headers;  ///< JSON object text; "{}" when the sender gave none
};

}  // namespace pgforeman
