#pragma once
// How the starts of a jsonl handler go, over all its processes: counts those that failed, says when
// one lives, and hints at the likeliest mistakes where no answer comes. Fork: after.

#include <string>
#include <utility>
#include <vector>

#include "handlers/handler.h"
#include "handlers/jsonl_process.h"
#include "handlers/stderr_log.h"
#include "system/clock.h"

namespace pgforeman {

/// Python buffers what it prints into a pipe, so that an answer may never be sent: sets
/// PYTHONUNBUFFERED unless it is set.
void unbuffer_python(std::vector<std::string>& environment);

class StartWatch {
 public:
  /// How often to look().
  static constexpr Millis kLook{250};

  StartWatch(StartReports news, Millis hint_after)
      : news_(std::move(news)), hint_after_(hint_after) {}

  /// Checks a process that has not answered yet. `run`: the message that runs, if any.
  void look(JsonlProcess& process, const JsonlRun* run);
  void answered(JsonlProcess& process);
  /// It read of the message: whatever comes of it, it has started.
  void has_read() { failed_ = 0; }
  /// It ended, or did something wrong, before it read of a message. Counts once a process.
  void failed(JsonlProcess& process, const std::string& why);
  void cannot_spawn(const std::string& why);
  /// It ended without a message to run: a failure, unless it had waited and ended with code 0.
  void ended_idle(JsonlProcess& process, const ChildExit& exit);

  /// Logs it, but not each of thousands.
  void mended(const JsonlProcess& process, const std::string& what);

  int failed_in_a_row() const { return failed_; }
  /// To be added to the error of a timeout: empty once any answer came.
  std::string doubt_after_timeout() const;
  /// The same of a process that ended by itself with exit code 0.
  std::string doubt_after_exit() const;

 private:
  StartReports news_;
  Millis hint_after_;
  int failed_ = 0;
  Millis longest_failed_{0};  ///< how long a start lasted that failed
  bool ever_answered_ = false;
  bool hinted_ = false;
  RateLimit mended_{1, 10, Clock::now()};
};

}  // namespace pgforeman
