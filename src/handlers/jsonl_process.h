#pragma once
// The process of a jsonl handler with its pipes, and the message that it runs. Fork: after.

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

  /// Number of request bytes that were written to the process's stdin, read or not.
  std::size_t written_bytes() const { return request_bytes - in.unwritten(); }
  /// True if the process has read no byte at or after offset `begin` of all its requests.
  bool read_nothing_from(std::size_t begin) const {
    return in.unread() + in.unwritten() >= request_bytes - begin;
  }

  /// Says in an error how much of the missing answer was printed.
  std::string without_answer() const {
    const std::string& partial = lines.partial();
    return partial.empty() ? std::string("without an answer")
                           : "after half a line: " + excerpt(partial);
  }

  void log_end(const ChildExit& exit) const {
    // Some handlers end on purpose, after each message or after a number of them.
    const bool planned = exit.signal == 0 && exit.exit_code == 0;
    log::write(planned ? log::Level::debug : log::Level::warn,
               "the handler ended between messages: " + exit.explain(), {{"handler_pid", pid}});
  }

  bool answered = false;               ///< answered at least once, so the program works
  bool blamed = false;                 ///< counted as a failed start
  bool left_by_itself = false;         ///< closed its stdout between messages: its exit is logged
  bool exited = false;                 ///< reaped: no signal may be sent to its pid any more
  bool answered_while_ending = false;  ///< answered while it was being ended
  std::size_t request_bytes = 0;       ///< bytes of all requests to it
  LineSplitter lines{kAnswerBytes};
  bool reported_alive = false;  ///< StartReports::alive was called for it
};

/// The running message.
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
  std::size_t begin = 0;  ///< offset of this request in all requests to the process
  Handler::Done done;
  Ending ending;
  OneShotTimer deadline, wait_for_exit;
  TimePoint begun_at = Clock::now();
};

}  // namespace pgforeman
