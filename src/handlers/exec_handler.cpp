// Runs one process per message: payload on stdin, metadata in variables, exit code as the answer.

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include "handlers/answer_watch.h"
#include "handlers/capture.h"
#include "handlers/handler_process.h"
#include "handlers/json_line.h"
#include "handlers/limits.h"
#include "handlers/one_shot_timer.h"
#include "handlers/outcome.h"
#include "handlers/text.h"
#include "system/handler_variables.h"
#include "system/interpreter.h"
#include "text/utc_time.h"

namespace pgforeman {
namespace {

namespace asio = boost::asio;

// After this a program counts as started: a shell or env that finds no program ends sooner.
constexpr Millis kLivesAfter{500};

/// True for a variable that pgforeman sets for handlers.
bool is_handler_variable(std::string_view variable) {
  constexpr std::string_view kPrefix = "PGFOREMAN_";
  if (!variable.starts_with(kPrefix)) return false;
  const std::string_view name =
      variable.substr(kPrefix.size(), variable.find('=') - kPrefix.size());
  return name == "QUEUE" || std::find(kHandlerVariables.begin(), kHandlerVariables.end(), name) !=
                                kHandlerVariables.end();
}

/// Returns the outcome of a process that ended by itself.
Outcome outcome_of_exit(const ChildExit& exit, std::string result, std::string_view stderr_tail) {
  if (exit.signal == 0 && exit.exit_code == 0) {
    Outcome done;
    done.result = std::move(result);
    add_exit(done.evidence, exit);
    return done;
  }
  Outcome outcome = ended_outcome(exit.explain(), exit, stderr_tail);
  // These codes say that a retry cannot help: EX_DATAERR of sysexits.h, permanent failure of qmail.
  if (exit.signal == 0 && (exit.exit_code == 65 || exit.exit_code == 100)) {
    outcome.kind = Outcome::Kind::dead;
    outcome.evidence.cause = Cause::dead;
  }
  return outcome;
}

/// The running message and its process.
struct Run : HandlerProcess {
  Run(asio::io_context& io, Spawned spawned, const HandlerSettings& settings, StderrBudget& budget,
      Handler::Done on_done)
      : HandlerProcess(io, std::move(spawned), settings, budget,
                       [this](std::string_view chunk) {
                         result.feed(chunk);
                         last_output.feed(chunk);
                         answers.feed(chunk);
                       }),
        done(std::move(on_done)),
        deadline(io) {}

  std::string input;
  Handler::Done done;
  Ending ending;
  OneShotTimer deadline;
  HeadCapture result{kResultBytes};
  TailCapture last_output{kStderrTailBytes};
  AnswerWatch answers;
};

class ExecHandler final : public ProcessHandler {
 public:
  ExecHandler(asio::io_context& io, HandlerSettings settings)
      : io_(io), settings_(std::move(settings)), delivery_(io) {
    // Drops handler variables that this process was itself started with, by another pgforeman say.
    std::erase_if(settings_.environment, is_handler_variable);
  }

  ~ExecHandler() override {
    if (run_) kill_group(run_->pid);
  }

  void open() override {}

  void run(const Message& message, Done done) override {
    if (run_) throw std::logic_error("exec handler: a message is running already");
    try {
      start(message, done);
    } catch (const std::system_error& error) {
      delivery_.deliver(std::move(done), spawn_failed(error));
    }
  }

  void stop(StopReason reason, Millis grace) override {
    // A process that has already ended by itself needs no stop: its exit code is the answer.
    if (!run_ || has_ended(run_->pid)) return;
    run_->ending.stop_for(reason);
    run_->deadline.cancel();
    run_->ender.begin(run_->pid, settings_.stop_signal, grace);
  }

  void kill_for_memory(std::string error) override {
    if (!run_ || run_->ending.begun()) return;
    run_->ending.verdict = {Cause::out_of_memory, std::move(error)};
    run_->deadline.cancel();
    kill_group(run_->pid);
  }

  bool on_exit(const ChildExit& exit) override {
    if (!run_ || exit.pid != run_->pid) return false;
    const std::unique_ptr<Run> run = std::move(run_);
    // Kills the rest of its group; does not wait for a process that still holds the pipes.
    kill_group(exit.pid);
    run->out.drain();
    run->drain_stderr();
    delivery_.deliver(std::move(run->done), outcome_of(*run, exit));
    return true;
  }

  void close() override {}

  std::vector<pid_t> pids() const override {
    return run_ ? std::vector<pid_t>{run_->pid} : std::vector<pid_t>{};
  }

  int failed_starts() const override { return failed_starts_; }

 private:
  /// Releases the message without an attempt, as it did not cause the failure. If the program has
  /// worked before, a bad file counts an attempt (see docs/guarantees.md), and so does a message
  /// that is too large for an environment (E2BIG).
  Outcome spawn_failed(const std::system_error& error) {
    constexpr std::array<int, 6> kCounted = {ENOENT, ENOTDIR, EACCES, ENOEXEC, ELIBBAD, E2BIG};
    const bool counted =
        std::find(kCounted.begin(), kCounted.end(), error.code().value()) != kCounted.end();
    if (counted && settings_.start_reports.has_worked && settings_.start_reports.has_worked()) {
      return retry_outcome(Cause::exit_code, error.what(), {});
    }
    return not_started(error.what(), {});
  }

  Outcome not_started(const std::string& what, const std::string& stderr_tail) {
    ++failed_starts_;
    Outcome outcome = not_started_outcome(what, stderr_tail);
    if (settings_.start_reports.failed) settings_.start_reports.failed(outcome.error);
    return outcome;
  }

  Outcome outcome_of(const Run& run, const ChildExit& exit) {
    if (!run.ending.begun()) {
      const std::string problem = start_problem(exit);
      if (!problem.empty()) {
        longest_failed_ = std::max(
            longest_failed_, std::chrono::duration_cast<Millis>(Clock::now() - run.started_at));
        return not_started(problem, run.tail.text());
      }
    }
    failed_starts_ = 0;
    const std::string tail = run.tail.text();
    Outcome outcome = outcome_of_exit(exit, run.result.text(), tail);
    // The exit code of a process that is being ended is ignored: most programs exit with 0 on TERM.
    // proves: P29 stop
    if (run.ending.begun()) outcome = run.ending.outcome(exit, tail);
    if (run.ending.killed_for_memory()) return outcome;
    // proves: P77 mode
    if (outcome.kind == Outcome::Kind::done && run.answers.found()) {
      outcome = retry_outcome(Cause::contract,
                              "this handler speaks jsonl: set HANDLER_MODE=jsonl (with exec its "
                              "exit code is the answer, and it printed " +
                                  excerpt(run.answers.line()) + ")",
                              tail);
      add_exit(outcome.evidence, exit);
    } else if (!outcome.error.empty() && outcome.kind != Outcome::Kind::released && tail.empty()) {
      if (const auto said = run.last_output.text(); !said.empty()) {
        outcome.error += "; stdout: " + said;
      }
    }
    return outcome;
  }

  /// Returns why the program did not start, as far as an exit code can tell; empty otherwise. Only
  /// while no run has succeeded, since a handler may use these codes for its own reasons.
  std::string start_problem(const ChildExit& exit) const {
    if (!settings_.start_reports.has_worked || settings_.start_reports.has_worked()) return {};
    if (exit.signal != 0 || exit.exit_code == 0) return {};
    const std::string ended_so = "the handler " + ended(exit);
    if (exit.exit_code == 126) return ended_so + ": a program that cannot be executed";
    if (exit.exit_code == 127) return ended_so + ": a program that is not there";
    const std::string missing = missing_argument(settings_.argv);
    if (missing.empty()) return {};
    return ended_so + ": there is no file " + excerpt(missing);
  }

  void start(const Message& message, const Done& done) {
    std::string input = message.payload;
    join_json_lines(input);  // one line, so that a shell's `read` gets all of it
    input += '\n';
    Spawned spawned = spawn(settings_.argv, environment_for(message), input);
    const std::size_t sent = spawned.input_sent;
    run_ = std::make_unique<Run>(io_, std::move(spawned), settings_, budget_, done);
    run_->deadline.start(settings_.timeout, [this] {
      run_->ending.verdict = {Cause::timeout, timed_out(settings_.timeout)};
      run_->ender.begin(run_->pid, settings_.stop_signal, settings_.kill_grace);
    });
    if (settings_.start_reports.alive) {
      // A program that fails slowly must run longer than its failed starts to count as started.
      run_->start_check.start(std::max(kLivesAfter, 2 * longest_failed_),
                              [this] { settings_.start_reports.alive(); });
    }
    run_->input = std::move(input);
    run_->in.write(std::string_view(run_->input).substr(sent));
    run_->in.close_when_written();
  }

  std::vector<std::string> environment_for(const Message& message) const {
    std::vector<std::string> environment = settings_.environment;
    const auto set = [&](std::string_view name, std::string_view value) {
      environment.push_back(std::string(name) + "=" + std::string(value));
    };
    set("PGFOREMAN_MESSAGE_ID", std::to_string(message.id));
    set("PGFOREMAN_IDEMPOTENCY_KEY", idempotency_key(message));
    set("PGFOREMAN_QUEUE", settings_.queue);
    set("PGFOREMAN_ATTEMPT", std::to_string(message.attempt));
    set("PGFOREMAN_FENCE", std::to_string(message.fence));
    set("PGFOREMAN_ENQUEUED_AT", utc_text(message.enqueued_at));
    set("PGFOREMAN_DEADLINE_SECONDS", decimal_seconds(settings_.timeout));
    if (message.headers.size() <= kHeadersVariableBytes) {
      set("PGFOREMAN_HEADERS", message.headers.empty() ? "{}" : message.headers);
    }
    return environment;
  }

  asio::io_context& io_;
  HandlerSettings settings_;
  Delivery delivery_;
  StderrBudget budget_;  ///< declared before the run, which uses it until it is destroyed
  std::unique_ptr<Run> run_;
  int failed_starts_ = 0;
  Millis longest_failed_{0};  ///< duration of the longest failed start
};

}  // namespace

std::unique_ptr<ProcessHandler> make_exec_handler(asio::io_context& io, HandlerSettings settings) {
  return std::make_unique<ExecHandler>(io, std::move(settings));
}

}  // namespace pgforeman
