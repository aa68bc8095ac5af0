#pragma once
// Logs a handler's stderr line by line, bounded in length and rate. A handler that prints in a loop
// can then neither split nor flood the lines of the fleet's log. Single-threaded.

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "system/clock.h"

namespace pgforeman {

/// Allows at most `burst` events at once and `per_second` in the long run. Pure: time is passed in.
class RateLimit {
 public:
  RateLimit(int per_second, int burst, TimePoint now)
      : per_second_(per_second), burst_(burst), tokens_(burst), last_(now) {}
  bool allow(TimePoint now);

 private:
  double per_second_, burst_, tokens_;
  TimePoint last_;
};

/// The rate limit that all processes of a handler share: 50 lines a second on average, 200 at once.
class StderrBudget {
 public:
  StderrBudget();
  ~StderrBudget() { say_left_out(); }
  StderrBudget(const StderrBudget&) = delete;
  StderrBudget& operator=(const StderrBudget&) = delete;

  /// Returns false, and counts the line, if it must be left out.
  bool allow();
  /// Logs how many lines were left out since the last call, if any.
  void say_left_out();
  /// Calls say_left_out(), at most once a second: a fleet may run many short processes.
  void process_ended();

 private:
  RateLimit limit_;
  std::int64_t left_out_ = 0;  ///< lines left out and not yet reported
  TimePoint said_at_;
};

class StderrLog {
 public:
  /// `pid` is the handler's and is part of each line. `budget` must outlive this object.
  StderrLog(pid_t pid, StderrBudget& budget) : pid_(pid), budget_(budget) {}
  void feed(std::string_view chunk);
  /// Logs an unfinished last line; call it at the end of the stream.
  void finish();

 private:
  void log_line();

  pid_t pid_;
  std::string line_;     ///< the beginning of the current line
  bool logged_ = false;  ///< the current line is too long and was logged before its end
  StderrBudget& budget_;
};

}  // namespace pgforeman
