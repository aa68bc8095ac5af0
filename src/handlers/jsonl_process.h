#pragma once
// A jsonl handler's process with its pipes. Fork: after.

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <functional>
#include <string_view>
#include <utility>

#include "base/child_exit.h"
#include "base/log.h"
#include "handlers/capture.h"
#include "handlers/limits.h"
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

  JsonlProcess(boost::asio::io_context& io, Spawned spawned, Heard heard)
      : pid(spawned.pid),
        log(spawned.pid),
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
  std::size_t given = 0;        ///< bytes, to its stdin
  LineSplitter lines{kAnswerBytes};
  TailCapture tail{kStderrTailBytes};  ///< of its stderr since the message began
  StderrLog log;
  GroupEnder ender;
  PipeWriter in;
  PipeReader out, err;
};

}  // namespace pgforeman
