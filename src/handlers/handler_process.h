#pragma once
// What handlers that run programs have in common: a process with its pipes, and why it is being
// ended. Fork: after.

#include <boost/asio/io_context.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "handlers/capture.h"
#include "handlers/handler.h"
#include "handlers/limits.h"
#include "handlers/one_shot_timer.h"
#include "handlers/pipe.h"
#include "handlers/process_group.h"
#include "handlers/spawn.h"
#include "handlers/stderr_log.h"
#include "system/child_exit.h"
#include "system/clock.h"

namespace pgforeman {

/// A started program. Its stderr is logged, and the end of it kept.
struct HandlerProcess {
  /// Throws std::system_error, and has killed the program, when the loop cannot watch its pipes.
  /// `settings` and `budget` outlive this.
  HandlerProcess(boost::asio::io_context& io, Spawned spawned, const HandlerSettings& settings,
                 StderrBudget& budget, PipeReader::OnData on_output,
                 PipeReader::OnEnd on_output_end = {}, PipeWriter::OnBroken on_input_broken = {});

  /// What it wrote to stderr before it ended.
  void read_last_words();

  pid_t pid;
  TimePoint started_at = Clock::now();
  TailCapture tail{kStderrTailBytes};  ///< of its stderr
  StderrLog log;
  GroupEnder ender;
  OneShotTimer start_check;  ///< until it is known how the start went
  PipeWriter in;
  PipeReader out, err;
};

/// Why a running message's process is being ended, if it is.
struct Ending {
  std::optional<StopReason> stop;
  /// What the process did wrong, or that its time is up: the error when it is gone.
  std::optional<std::pair<Cause, std::string>> verdict;

  [[nodiscard]] bool begun() const { return stop || verdict; }
  [[nodiscard]] bool killed_for_memory() const {
    return verdict && verdict->first == Cause::out_of_memory;
  }
  void stop_for(StopReason reason) {
    if (reason == StopReason::lease_lost || !stop) stop = reason;
  }
  /// What becomes of the message; only if it has begun. A lost lease counts before a verdict, and
  /// a verdict before a shutdown.
  [[nodiscard]] Outcome outcome(const ChildExit& exit, std::string_view stderr_tail) const;
};

}  // namespace pgforeman
