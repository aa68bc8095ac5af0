#pragma once
// The part of a consumer that a handler relies on: an io_context, one reaper fed by a signalfd,
// being a child subreaper, SIGPIPE ignored. Everything waits on a condition with a deadline.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "handlers/handler.h"
#include "support/catch.h"

namespace pgforeman::test {

/// `sh -c script`, which may use any other program. One that shall hang until it is killed is
/// `tail -f /dev/null 3>&1 >/dev/null`: it holds the pipe, but not as the stdout with whose reader
/// tail would end.
std::vector<std::string> shell(const std::string& script);
/// Without it dash and others would not find programs.
std::vector<std::string> path_only();
Message message(std::int64_t id = 7, std::string payload = R"({"n": 1})");
HandlerSettings settings(std::vector<std::string> argv, Millis timeout = Millis{20000},
                         Millis kill_grace = Millis{2000});

/// Times that certainly pass in a test, and that never do.
constexpr Millis kSoon{150};
constexpr Millis kLong{60000};

/// A fresh path in a folder of this process's own, removed at exit.
std::string fresh_path(const std::string& name);
std::string read_file(const std::string& path);
/// Waits until a file holds a whole line, and gives it.
std::string wait_for_line(const std::string& path);
/// A process that is neither gone nor a zombie.
bool is_alive(pid_t pid);
/// Waits, up to some seconds, until `condition`; false when it did not come true.
bool eventually(const std::function<bool()>& condition);
/// Waits until it is not alive.
inline bool gone(pid_t pid) {
  return eventually([&] { return !is_alive(pid); });
}
std::size_t open_descriptors();

class ConsumerLoop {
 public:
  ConsumerLoop();
  ~ConsumerLoop();
  ConsumerLoop(const ConsumerLoop&) = delete;
  ConsumerLoop& operator=(const ConsumerLoop&) = delete;

  boost::asio::io_context io;
  std::unique_ptr<ProcessHandler> handler;
  std::vector<ChildExit> unknown_exits;  ///< what was reaped and not the handler's

  void exec(HandlerSettings settings) { handler = make_exec_handler(io, std::move(settings)); }
  void jsonl(HandlerSettings settings) { handler = make_jsonl_handler(io, std::move(settings)); }

  /// As a consumer does it: open(), run(), the loop until done. Fails the test when it takes longer
  /// than 20 s.
  Outcome handle(const Message& message);
  /// Starts a message; finish() gives its outcome.
  void start(const Message& message);
  Outcome finish();
  bool finished() const { return outcome_.has_value(); }
  /// Turns the loop until `condition`; fails the test when it does not come true in 20 s.
  void until(const std::function<bool()>& condition);

 private:
  void watch_children();
  void reap();

  boost::asio::posix::stream_descriptor signals_;
  sigset_t mask_before_{};
  std::optional<Outcome> outcome_;
  Message running_;
  int done_calls_ = 0;
};

}  // namespace pgforeman::test
