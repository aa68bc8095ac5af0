#pragma once
// One contract, several carriers: run a message under a deadline, give back an Outcome. What is
// about processes is in ProcessHandler, so that carriers without one fit.
//
// A Handler belongs to one consumer and lives in its process (fork: after). It works on the
// consumer's io_context, runs one message at a time, never waits for children itself (the consumer
// reaps them and hands it every exit) and never blocks.

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

/// Why a running message's handler is being ended early.
enum class StopReason {
  shutdown,    ///< the child drains and its time is up: the message is released, unless a jsonl
               ///< handler still answers; how the process ends is no answer
  lease_lost,  ///< the message has another holder now: the handler's answer no longer counts
};

/// Callbacks to the fleet about starts of the program. Each may be empty.
struct StartReports {
  std::function<bool()> has_worked;  ///< some run of it succeeded since the fleet began
  std::function<void(std::string_view why)> failed;
  std::function<void()> lives;  ///< it reads, or has not ended for a while; no more than a hint
};

struct HandlerSettings {
  std::vector<std::string> argv;         ///< resolved: argv[0] is a path that can be executed
  std::vector<std::string> environment;  ///< "KEY=value": what the handler may see, no secrets
  std::string queue;
  Millis timeout{0};     ///< the running message's deadline, counted from run()
  Millis kill_grace{0};  ///< between the stop signal and KILL of the handler's process group
  std::function<void(std::string_view)> on_stderr{};  ///< each chunk as it comes; may be empty
  int stop_signal = SIGTERM;                          ///< what its group gets before KILL
  StartReports start_reports{};
  Millis hint_after{5000};  ///< jsonl: without a first answer ever
};

class Handler {
 public:
  using Done = std::function<void(Outcome)>;

  /// Kills what still runs, with its process group; no `done` is called any more.
  virtual ~Handler() = default;

  /// Starts what lives as long as the child (jsonl's process), unless it runs and is healthy: to be
  /// called before every message. Throws std::system_error when it cannot be started.
  virtual void open() = 0;

  /// Runs `message`; it must stay alive until `done` was called, exactly once, from the io_context
  /// or before run() returns. Every failure, the timeout included, is an Outcome.
  virtual void run(const Message& message, Done done) = 0;

  /// Ends the running message's handler: the stop signal to its group, KILL after `grace`. `done`
  /// follows. Without a running message, or when its process has ended already: nothing.
  virtual void stop(StopReason reason, Millis grace) = 0;

  /// Ends what is long-lived, if anything (a planned end). For the child's own end; nothing may be
  /// running. Destroying the handler ends what is left at once.
  virtual void close() = 0;

  /// How often in a row the handler could not be started, or ended (or broke the contract) before
  /// it read of a message: while this is not 0, wait with a backoff before the next one.
  virtual int failed_starts() const = 0;
};

/// A handler that runs programs. Its close() closes the long-lived process's stdin, and kills its
/// group when it exited or after kill_grace; it is over when pids() is empty.
class ProcessHandler : public Handler {
 public:
  /// Kills the running message's handler, which holds too much memory: a crash with this `error`.
  virtual void kill_for_memory(std::string error) = 0;

  /// An exit the consumer reaped. True when it was this handler's process.
  virtual bool on_exit(const ChildExit& exit) = 0;

  /// The processes that must survive a clean-up of orphans between messages; their exits are still
  /// to come to on_exit().
  virtual std::vector<pid_t> pids() const = 0;
};

std::unique_ptr<ProcessHandler> make_exec_handler(boost::asio::io_context& io,
                                                  HandlerSettings settings);
std::unique_ptr<ProcessHandler> make_jsonl_handler(boost::asio::io_context& io,
                                                   HandlerSettings settings);
/// Done at once, without a process, whatever the message says: the queue is left to measure.
std::unique_ptr<Handler> make_noop_handler();

}  // namespace pgforeman
