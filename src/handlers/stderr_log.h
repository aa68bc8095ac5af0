#pragma once
// A handler's stderr as log lines: bounded in length and in rate, so that a handler in a loop can
// neither tear nor flood the fleet's log. Single-threaded.

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "system/clock.h"

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

/// What all processes of a handler share: 50 lines a second in the long run, 200 at once.
class StderrBudget {
 public:
  StderrBudget();
  ~StderrBudget() { say_left_out(); }
  StderrBudget(const StderrBudget&) = delete;
  StderrBudget& operator=(const StderrBudget&) = delete;

  /// False: the line is left out, and counted.
  bool allow();
  /// Logs how many lines were left out; at the end of each of many brief processes, once a second.
  void say_left_out();
  void process_ended();

 private:
  RateLimit limit_;
  std::int64_t left_out_ = 0;  ///< not yet said
  TimePoint said_at_;
};

class StderrLog {
 public:
  /// `pid` is the handler's, named in each line. `budget` outlives this.
  StderrLog(pid_t pid, StderrBudget& budget) : pid_(pid), budget_(budget) {}

  void feed(std::string_view chunk);
  /// The stream ended: logs what is left.
  void finish();

 private:
  void log_line();

  pid_t pid_;
  std::string line_;     ///< its beginning
  bool logged_ = false;  ///< before its end, as it is long
  StderrBudget& budget_;
};

}  // namespace pgforeman
