#pragma once
// The interface of handlers: run a message under a deadline, and return an Outcome. ProcessHandler
// adds the functions for processes, so that a handler without a process needs only Handler.
//
// A Handler belongs to one consumer and lives in its process (fork: after). It works on the
// consumer's io_context, runs one message at a time and never blocks. It never waits for children:
// the consumer reaps them and passes every exit to the handler.

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pgforeman/message.h"
#include "pgforeman/outcome.h"
#include "system/child_exit.h"
#include "system/clock.h"

namespace pgforeman {

/// Why the handler of a running message is ended early.
enum class StopReason {
  shutdown,    ///< the drain's grace is over: the message is released, unless a jsonl handler still
               ///< answers; an exit code does not count as an answer
  lease_lost,  ///< another consumer may hold the message now: the handler's answer is ignored
};

/// Callbacks to the fleet about starts of the program. Each may be empty.
struct StartReports {
  std::function<bool()> has_worked;  ///< true if a run has succeeded since the fleet's start
  std::function<void(std::string_view why)> failed;
  std::function<void()> alive;  ///< the program reads, or has not ended for a while; only a hint
};

struct HandlerSettings {
  std::vector<std::string> argv;         ///< resolved: argv[0] is a path that can be executed
  std::vector<std::string> environment;  ///< "KEY=value": the handler's variables, no secrets
  std::string queue;
  Millis timeout{0};     ///< the running message's deadline, counted from run()
  Millis kill_grace{0};  ///< between the stop signal and KILL of the handler's process group
  std::function<void(std::string_view)> on_stderr{};  ///< gets each chunk of stderr; may be empty
  int stop_signal = SIGTERM;                          ///< sent to the process group before KILL
  StartReports start_reports{};
  Millis hint_after{5000};  ///< jsonl: time without any answer until a hint is logged
};

class Handler {
 public:
  using Done = std::function<void(Outcome)>;

  /// Kills the running processes with their process groups; `done` is not called afterwards.
  virtual ~Handler() = default;

  /// Starts the long-lived process (jsonl), unless a healthy one runs. Must be called before every
  /// message. Throws std::system_error if the process cannot be started.
  virtual void open() = 0;

  /// Runs `message`, which must live until `done` is called. `done` is called exactly once, from
  /// the io_context or before run() returns. Every failure, also the timeout, is an Outcome.
  virtual void run(const Message& message, Done done) = 0;

  /// Ends the running message's handler: stop signal to its group, KILL after `grace`, then `done`.
  /// Does nothing if no message runs or its process has already ended.
  virtual void stop(StopReason reason, Millis grace) = 0;

  /// Ends a long-lived process as planned, when the consumer itself ends. No message may run then.
  /// Destroying the handler kills a remaining process at once.
  virtual void close() = 0;

  /// Number of failed starts in a row: the program could not be started, or ended or broke the
  /// contract before it read from a message. Unless 0, back off before the next message.
  virtual int failed_starts() const = 0;
};

/// A handler that runs programs. close() closes the long-lived process's stdin, and kills its group
/// when the process has exited or after kill_grace. The close is complete when pids() is empty.
class ProcessHandler : public Handler {
 public:
  /// Kills the running message's handler for its memory use; the outcome is a crash with `error`.
  virtual void kill_for_memory(std::string error) = 0;

  /// Takes an exit that the consumer reaped. Returns true if the process was this handler's.
  virtual bool on_exit(const ChildExit& exit) = 0;

  /// Returns the processes that a clean-up of orphans between messages must not kill. Their exits
  /// must still be passed to on_exit().
  virtual std::vector<pid_t> pids() const = 0;
};

std::unique_ptr<ProcessHandler> make_exec_handler(boost::asio::io_context& io,
                                                  HandlerSettings settings);
std::unique_ptr<ProcessHandler> make_jsonl_handler(boost::asio::io_context& io,
                                                   HandlerSettings settings);
/// Answers `done` at once for every message, without a process: for benchmarks of the queue alone.
std::unique_ptr<Handler> make_noop_handler();

}  // namespace pgforeman
