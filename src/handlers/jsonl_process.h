#pragma once
// A jsonl handler's process with its pipes, and the message it runs. Fork: after.

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "handlers/handler_process.h"
#include "handlers/one_shot_timer.h"
#include "system/log.h"

namespace pgforeman {

struct JsonlProcess : HandlerProcess {
  using HandlerProcess::HandlerProcess;

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

  bool answered = false;        ///< at least once: it is a handler that works
  bool blamed = false;          ///< counted as a failed start
  bool left_by_itself = false;  ///< ended between messages: its exit is worth a line
  bool exited = false;          ///< reaped: no signal may be sent any more
  bool leaves = false;          ///< it answered when it was to end
  std::size_t given = 0;        ///< bytes, to its stdin
  LineSplitter lines{kAnswerBytes};
  bool lives = false;  ///< it was said that it does
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
  Ending ending;
  OneShotTimer deadline, wait_for_exit;
  TimePoint begun_at = Clock::now();
};

}  // namespace pgforeman
