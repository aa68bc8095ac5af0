#pragma once
// Watches the starts of all processes of a jsonl handler: counts failed starts, reports a process
// that lives, and hints at the likeliest mistakes if no answer comes. Fork: after.

#include <string>
#include <utility>
#include <vector>

#include "handlers/handler.h"
#include "handlers/jsonl_process.h"
#include "handlers/stderr_log.h"
#include "system/clock.h"

namespace pgforeman {

/// Sets PYTHONUNBUFFERED unless it is set: Python buffers its output to a pipe, so that an answer
/// might never be sent.
void unbuffer_python(std::vector<std::string>& environment);

class StartWatch {
 public:
  /// The interval between calls of look().
  static constexpr Millis kCheckInterval{250};

  StartWatch(StartReports news, Millis hint_after)
      : news_(std::move(news)), hint_after_(hint_after) {}

  /// Checks a process that has not answered yet. `run` is the running message, or null.
  void look(JsonlProcess& process, const JsonlRun* run);
  void answered(JsonlProcess& process);
  /// Resets the count: a process that read from its message has started, whatever its outcome.
  void reset_failures() { failed_ = 0; }
  /// Counts a failed start: the process ended or broke the contract before it read from a message.
  /// A process counts once at most, and not after an answer.
  void failed(JsonlProcess& process, const std::string& why);
  void cannot_spawn(const std::string& why);
  /// Handles an exit without a message: a failed start, unless the process lived and exited with 0.
  void ended_idle(JsonlProcess& process, const ChildExit& exit);
  /// Logs that an answer was mended, limited in rate.
  void mended(const JsonlProcess& process, const std::string& what);

  int failed_in_a_row() const { return failed_; }
  /// Returns a hint for the error of a timeout; empty once any answer came.
  std::string doubt_after_timeout() const;
  /// Returns a hint for a process that ended by itself with code 0; empty once any answer came.
  std::string doubt_after_exit() const;

 private:
  StartReports news_;
  Millis hint_after_;
  int failed_ = 0;
  Millis longest_failed_{0};  ///< duration of the longest failed start
  bool ever_answered_ = false;
  bool hinted_ = false;
  RateLimit mended_{1, 10, Clock::now()};
};

}  // namespace pgforeman
