#pragma once
// The common part of handlers that run programs: a process with its pipes, and why it is being
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

/// A started program. Its stderr is logged, and the tail of its stderr is kept.
struct HandlerProcess {
  /// Kills the program and throws std::system_error if the event loop cannot watch its pipes.
  /// `settings` and `budget` must outlive this object.
  HandlerProcess(boost::asio::io_context& io, Spawned spawned, const HandlerSettings& settings,
                 StderrBudget& budget, PipeReader::OnData on_output,
                 PipeReader::OnEnd on_output_end = {}, PipeWriter::OnBroken on_input_broken = {});

  /// Reads and logs the rest of stderr; call it when the process has ended.
  void drain_stderr();

  pid_t pid;
  TimePoint started_at = Clock::now();
  TailCapture tail{kStderrTailBytes};  ///< the end of its stderr
  StderrLog log;
  GroupEnder ender;
  OneShotTimer start_check;  ///< runs until it is known whether the start succeeded
  PipeWriter in;
  PipeReader out, err;
};

/// Why the process of a running message is being ended; empty if it is not.
struct Ending {
  std::optional<StopReason> stop;
  /// The fault of the process (broken contract, timeout, memory); becomes the error at its exit.
  std::optional<std::pair<Cause, std::string>> verdict;

  [[nodiscard]] bool begun() const { return stop || verdict; }
  [[nodiscard]] bool killed_for_memory() const {
    return verdict && verdict->first == Cause::out_of_memory;
  }
  void stop_for(StopReason reason) {
    if (reason == StopReason::lease_lost || !stop) stop = reason;
  }
  /// Returns the outcome of the message; requires begun(). A lost lease takes precedence over a
  /// verdict, and a verdict over a shutdown.
  [[nodiscard]] Outcome outcome(const ChildExit& exit, std::string_view stderr_tail) const;
};

}  // namespace pgforeman
