// Runs one long-lived process: a JSON line per message on its stdin, one per outcome on its stdout.
//
// A process that breaks the contract is killed, and a new one serves the next message: after a
// violation it is unknown which line belongs to which message.

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "handlers/json_line.h"
#include "handlers/jsonl_process.h"
#include "handlers/outcome.h"
#include "handlers/spawn.h"
#include "handlers/start_watch.h"
#include "handlers/text.h"
#include "system/log.h"

namespace pgforeman {
namespace {

namespace asio = boost::asio;
// The time to wait for an exit after a pipe was closed. A process that ends closes its pipes a
// moment before it can be reaped, and its exit explains more than the closed pipe.
constexpr Millis kWaitForExit{250};

class JsonlHandler final : public ProcessHandler {
 public:
  JsonlHandler(asio::io_context& io, HandlerSettings settings)
      : io_(io),
        settings_(std::move(settings)),
        queue_json_(json_string(settings_.queue)),
        starts_(settings_.start_reports, settings_.hint_after),
        delivery_(io) {
    unbuffer_python(settings_.environment);
  }

  ~JsonlHandler() override {
    if (process_) kill_group(process_->pid);
    for (const auto& process : leaving_) kill_group(process->pid);
  }

  void open() override {
    // Reads unexpected output now, so that no later message is blamed for it.
    if (process_ && !run_) process_->out.drain();
    if (process_ && !run_ && !process_->out.is_open()) let_end();
    if (!process_) start_process();
  }

  void run(const Message& message, Done done) override {
    if (run_) throw std::logic_error("jsonl handler: a message is running already");
    try {
      open();
    } catch (const std::system_error& error) {
      // The message did not cause this, so it is released without an attempt.
      delivery_.deliver(std::move(done), released_outcome(Cause::none, error.what()));
      return;
    }
    run_.emplace(io_, message.id, request_line(message, queue_json_, settings_.timeout),
                 std::move(done));
    process_->tail.clear();
    run_->deadline.start(settings_.timeout, [this] {
      run_->ending.verdict = {Cause::timeout,
                              timed_out(settings_.timeout) + starts_.doubt_after_timeout()};
      process_->ender.begin(process_->pid, settings_.stop_signal, settings_.kill_grace);
    });
    give();
  }

  void stop(StopReason reason, Millis grace) override {
    // A process that has already ended by itself needs no stop: its exit gives the outcome.
    if (!run_ || (!process_->exited && has_ended(process_->pid))) return;
    run_->ending.stop_for(reason);
    run_->deadline.cancel();
    process_->ender.begin(process_->pid, settings_.stop_signal, grace);
  }

  void kill_for_memory(std::string error) override {
    if (!run_ || run_->ending.begun()) return;
    run_->ending.verdict = {Cause::out_of_memory, std::move(error)};
    run_->deadline.cancel();
    if (!process_->exited) kill_group(process_->pid);
  }

  bool on_exit(const ChildExit& exit) override {
    if (process_ && process_->pid == exit.pid) {
      on_process_exit(exit);
      return true;
    }
    const auto it = std::find_if(leaving_.begin(), leaving_.end(),
                                 [&](const auto& process) { return process->pid == exit.pid; });
    if (it == leaving_.end()) return false;
    kill_group(exit.pid);
    (*it)->drain_stderr();
    if ((*it)->left_by_itself) (*it)->log_end(exit);
    leaving_.erase(it);
    return true;
  }

  void close() override {
    if (!process_) return;
    process_->ender.kill_after(process_->pid, settings_.kill_grace);
    let_go();
  }

  std::vector<pid_t> pids() const override {
    std::vector<pid_t> pids;
    if (process_) pids.push_back(process_->pid);
    for (const auto& process : leaving_) pids.push_back(process->pid);
    return pids;
  }

  int failed_starts() const override { return starts_.failed_in_a_row(); }

 private:
  using Process = JsonlProcess;

  void give() {
    run_->begin = process_->request_bytes;
    process_->request_bytes = run_->end();
    process_->in.write(run_->request);
  }

  void start_process() {
    try {
      process_ = std::make_shared<Process>(
          io_, spawn(settings_.argv, settings_.environment), settings_, budget_,
          [this](std::string_view chunk) { on_output(chunk); }, [this] { on_output_end(); },
          [this] { on_input_broken(); });
    } catch (const std::system_error& error) {
      starts_.cannot_spawn(error.what());
      throw;
    }
    watch_start(*process_);
    log::debug("handler started", {{"handler_pid", process_->pid}});
  }

  void watch_start(Process& process) {
    process.start_check.start(StartWatch::kCheckInterval, [this, &process] {
      if (process_.get() != &process || process.answered || process.exited) return;
      starts_.look(process, run_ ? &*run_ : nullptr);
      watch_start(process);
    });
  }

  void on_output(std::string_view chunk) {
    const auto process = process_;  // keeps the process alive: on_line() may let it go
    const bool fits =
        process->lines.feed(chunk, [&](std::string_view line) { on_line(process, line); });
    if (process != process_) return;
    if (process->answered_while_ending) return let_go();
    if (!fits) {
      process->lines.clear();
      if (run_) return violation("printed a line that is too long to be an answer");
    }
    if (!run_ && (!fits || !process->lines.partial().empty())) retire_unasked();
  }

  void on_line(const std::shared_ptr<Process>& process, std::string_view line) {
    if (process != process_ || trim_end(line).empty()) return;
    if (!run_ && process->answered_while_ending) return;
    if (!run_) return retire_unasked();
    if (run_->ending.verdict || run_->ending.stop == StopReason::lease_lost) return;
    if (process->written_bytes() < run_->end()) {
      return violation("answered before it had read the whole message");
    }
    auto answer = parse_answer(line, run_->id);
    if (!answer) return violation("printed " + answer.problem);
    starts_.answered(*process);
    process->answered_while_ending = run_->ending.begun() && !process->exited;
    auto& [outcome, warning] = *answer.value;
    if (!warning.empty()) starts_.mended(*process, warning);
    if (outcome.kind != Outcome::Kind::done) outcome.evidence.stderr_tail = process->tail.text();
    finish(std::move(outcome));
  }

  void on_output_end() {
    if (process_->exited || !run_) return;  // without a message the next open() handles it
    blame_after_exit("closed its stdout " + process_->without_answer());
  }

  void on_input_broken() {
    if (!run_ || process_->written_bytes() >= run_->end()) return;  // the whole request was written
    blame_after_exit("closed its stdin before the message's end");
  }

  /// Reports a violation, unless the process exits soon: the exit then explains more.
  void blame_after_exit(std::string what) {
    if (!run_ || run_->ending.verdict) return;
    run_->wait_for_exit.start(kWaitForExit, [this, what = std::move(what)] { violation(what); });
  }

  /// Kills a process that broke the contract; the running message is retried after its exit.
  void violation(std::string_view what) {
    if (run_->ending.verdict) return;
    run_->deadline.cancel();
    // Output of a program that was asked to end does not break the contract.
    if (!run_->ending.stop) {
      run_->ending.verdict = {Cause::contract, "the handler " + std::string(what)};
      if (process_->read_nothing_from(run_->begin)) {
        starts_.failed(*process_, run_->ending.verdict->second);
      }
    }
    if (!process_->exited) kill_group(process_->pid);
  }

  void on_process_exit(const ChildExit& exit) {
    const auto process = process_;
    process->exited = true;
    process->ender.cancel();
    kill_group(exit.pid);
    // Reads an answer that came just before the end; another process may still hold the pipe open.
    process->out.drain();
    process->drain_stderr();
    process_.reset();
    if (run_) {
      if (may_start_over(*process) && start_over()) return;
      if (run_->ending.begun()) {
        return finish(run_->ending.outcome(exit, process->tail.text()));
      }
      return finish(ended_by_itself(*process, exit));
    }
    starts_.ended_idle(*process, exit);
    process->log_end(exit);
  }

  /// Returns the outcome of the running message if its process ended by itself without an answer.
  Outcome ended_by_itself(Process& process, const ChildExit& exit) {
    const std::string tail = process.tail.text(), what = "the handler " + ended(exit);
    if (process.read_nothing_from(run_->begin)) {
      // The process read no byte of the message, so this is no attempt.
      Outcome outcome = not_started_outcome(what + " before it read the message", tail);
      starts_.failed(process, outcome.error);
      return outcome;
    }
    const bool planned = exit.signal == 0 && exit.exit_code == 0;
    const std::string doubt = planned ? starts_.doubt_after_exit() : std::string();
    starts_.reset_failures();
    return ended_outcome(what + " " + process.without_answer() + doubt, exit, tail);
  }

  /// True if a new process may run the message. Some handlers end after one or more answers,
  /// perhaps just after the next message was written. A process without any answer gets no retry.
  bool may_start_over(const Process& process) const {
    return process.answered && !run_->ending.begun() && process.read_nothing_from(run_->begin) &&
           process.lines.partial().empty();
  }

  bool start_over() {
    try {
      start_process();
    } catch (const std::system_error&) {
      return false;  // start_process() has counted the failure; the message is released
    }
    run_->wait_for_exit.cancel();
    give();
    return true;
  }

  void finish(Outcome outcome) {
    Done done = std::move(run_->done);
    run_.reset();
    delivery_.deliver(std::move(done), std::move(outcome));
  }

  /// Kills a process that prints when no message runs; the next open() starts another.
  void retire_unasked() {
    if (!process_->exited) {
      log::warn("unexpected handler output, killing handler", {{"handler_pid", process_->pid}});
      kill_group(process_->pid);
    }
    starts_.failed(*process_, "the handler wrote to its stdout without being asked");
    let_go();
  }

  /// Lets a process end that closed its stdout between messages; kills it if it does not end soon.
  void let_end() {
    process_->left_by_itself = true;
    process_->ender.kill_after(process_->pid, kWaitForExit);
    starts_.failed(*process_, "the handler closed its stdout before it had a message");
    let_go();
  }

  /// Closes the pipes and keeps the process only until its exit is reaped.
  void let_go() {
    process_->in.close();
    process_->out.close();
    if (!process_->exited) leaving_.push_back(process_);
    process_.reset();
  }

  asio::io_context& io_;
  HandlerSettings settings_;
  std::string queue_json_;
  StartWatch starts_;
  Delivery delivery_;
  StderrBudget budget_;  ///< declared before the processes, which use it until they are destroyed
  std::optional<JsonlRun> run_;
  std::shared_ptr<Process> process_;               ///< the process that serves messages
  std::vector<std::shared_ptr<Process>> leaving_;  ///< processes being ended, not yet reaped
};

}  // namespace

std::unique_ptr<ProcessHandler> make_jsonl_handler(asio::io_context& io, HandlerSettings settings) {
  return std::make_unique<JsonlHandler>(io, std::move(settings));
}

}  // namespace pgforeman
