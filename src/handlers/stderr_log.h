#pragma once
// A long-lived handler's stderr as log lines: bounded in length and in rate, so that a handler in a
// loop can neither tear nor flood the fleet's log. Single-threaded.

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "handlers/capture.h"

namespace pgforeman {

/// At most `burst` at once and `per_second` in the long run. Pure: time is given.
class RateLimit {
 public:
  RateLimit(int per_second, int burst, TimePoint now)
      : per_second_(per_second), burst_(burst), tokens_(burst), last_(now) {}
  bool allow(TimePoint now);

 private:
  double per_second_, burst_, tokens_;
  TimePoint last_;
};

class StderrLog {
 public:
  /// `pid` is the handler's, named in each line.
  explicit StderrLog(pid_t pid);

  void feed(std::string_view chunk);
  /// The stream ended: logs what is left, and how many lines were left out.
  void finish();

 private:
  void log_line(std::string_view line);
  void log_left_out();

  pid_t pid_;
  std::string partial_;
  bool skipping_ = false;  ///< inside a line whose beginning was logged already
  RateLimit limit_;
  std::int64_t left_out_ = 0;
};

}  // namespace pgforeman
