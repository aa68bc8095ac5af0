#pragma once
// A jsonl handler's process with its pipes, and the message it runs. Fork: after.

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/child_exit.h"
#include "base/log.h"
#include "handlers/capture.h"
#include "handlers/handler.h"
#include "handlers/limits.h"
#include "handlers/one_shot_timer.h"
#include "handlers/outcome.h"
#include "handlers/pipe.h"
#include "handlers/process_group.h"
#include "handlers/spawn.h"
#include "handlers/stderr_log.h"

namespace pgforeman {

struct JsonlProcess {
  struct Heard {
    std::function<void(std::string_view)> output;
    std::function<void()> output_end, input_broken;
    std::function<void(std::string_view)> stderr_chunk;  ///< may be empty
  };

  JsonlProcess(boost::asio::io_context& io, Spawned spawned, StderrBudget& budget, Heard heard)
      : pid(spawned.pid),
        log(spawned.pid, budget),
        watch(io),
        ender(io),
        in(io, std::move(spawned.in), std::move(heard.input_broken)),
        out(io, std::move(spawned.out), std::move(heard.output), std::move(heard.output_end)),
        err(io, std::move(spawned.err),
            [this, on_stderr = std::move(heard.stderr_chunk)](std::string_view chunk) {
              tail.feed(chunk);
              if (on_stderr) on_stderr(chunk);
              log.feed(chunk);
            }) {}
  JsonlProcess(const JsonlProcess&) = delete;
  JsonlProcess& operator=(const JsonlProcess&) = delete;

  /// How much of what it was given is at least in its pipe.
  std::size_t in_pipe() const { return given - in.unwritten(); }
  /// Not one byte from there on.
  bool read_nothing_from(std::size_t begin) const {
    return in.unread() + in.unwritten() >= given - begin;
  }

  /// How far the answer came that never ended.
  std::string without_answer() const {
    const std::string& partial = lines.partial();
    return partial.empty() ? std::string("without an answer")
                           : "after half a line: " + excerpt(partial);
  }

  void log_end(const ChildExit& exit) const {
    // Some handlers end after each message, or after so many, on purpose.
    const bool planned = exit.signal == 0 && exit.exit_code == 0;
    log::write(planned ? log::Level::debug : log::Level::warn,
               "the handler ended between messages: " + exit.explain(), {{"handler_pid", pid}});
  }

  void read_last_words() {
    err.drain();
    log.finish();
  }

  pid_t pid;
  bool answered = false;        ///< at least once: it is a handler that works
  bool blamed = false;          ///< counted as a failed start
  bool left_by_itself = false;  ///< ended between messages: its exit is worth a line
  bool exited = false;          ///< reaped: no signal may be sent any more
  bool leaves = false;          ///< it answered when it was to end
  std::size_t given = 0;        ///< bytes, to its stdin
  LineSplitter lines{kAnswerBytes};
  TailCapture tail{kStderrTailBytes};  ///< of its stderr since the message began
  StderrLog log;
  TimePoint started_at = Clock::now();
  bool lives = false;  ///< it was said that it does
  OneShotTimer watch;  ///< until its first answer
  GroupEnder ender;
  PipeWriter in;
  PipeReader out, err;
};

/// The message that runs.
struct JsonlRun {
  JsonlRun(boost::asio::io_context& io, std::int64_t message_id, std::string line,
           Handler::Done on_done)
      : id(message_id),
        request(std::move(line)),
        done(std::move(on_done)),
        deadline(io),
        wait_for_exit(io) {}

  std::size_t end() const { return begin + request.size(); }

  std::int64_t id;
  std::string request;
  std::size_t begin = 0;  ///< of the request, in all that the process was ever given
  Handler::Done done;
  Ending ending = Ending::none;
  /// What the process did wrong (or that its time is up): it is being killed, and this becomes
  /// the error when it is gone.
  std::optional<std::pair<Cause, std::string>> verdict;
  OneShotTimer deadline, wait_for_exit;
  TimePoint begun_at = Clock::now();
};

}  // namespace pgforeman
