// One long-lived process: a JSON line per message on its stdin, one per outcome on its stdout.
//
// It is trusted only while it keeps the contract: after a violation it is unknown which line
// belongs to which message, so the process is killed and a new one serves the next message.

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
// A process that ends closes its pipes a moment before its exit can be reaped. Its exit explains
// more than the closed pipe, so it is waited for that long.
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
    // Reads what is not an answer to anything now, so that no later message is blamed for it.
    if (process_ && !run_) process_->out.drain();
    if (process_ && !run_ && !process_->out.is_open()) let_end();
    if (!process_) start_process();
  }

  void run(const Message& message, Done done) override {
    if (run_) throw std::logic_error("jsonl handler: a message is running already");
    try {
      open();
    } catch (const std::system_error& error) {
      // Not the message's fault: it goes back as it came.
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
    // One that has ended by itself a moment ago is no shutdown: only its exit is still to be read.
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
    (*it)->read_last_words();
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
    run_->begin = process_->given;
    process_->given = run_->end();
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
    process.start_check.start(StartWatch::kLook, [this, &process] {
      if (process_.get() != &process || process.answered || process.exited) return;
      starts_.look(process, run_ ? &*run_ : nullptr);
      watch_start(process);
    });
  }

  void on_output(std::string_view chunk) {
    const auto process = process_;  // kept alive: a line may retire it
    const bool fits =
        process->lines.feed(chunk, [&](std::string_view line) { on_line(process, line); });
    if (process != process_) return;
    if (process->leaves) return let_go();
    if (!fits) {
      process->lines.clear();
      if (run_) return violation("printed a line that is too long to be an answer");
    }
    if (!run_ && (!fits || !process->lines.partial().empty())) retire_unasked();
  }

  void on_line(const std::shared_ptr<Process>& process, std::string_view line) {
    if (process != process_ || trim_end(line).empty()) return;
    if (!run_ && process->leaves) return;
    if (!run_) return retire_unasked();
    if (run_->ending.verdict || run_->ending.stop == StopReason::lease_lost) return;
    if (process->in_pipe() < run_->end()) {
      return violation("answered before it had read the whole message");
    }
    auto answer = parse_answer(line, run_->id);
    if (!answer) return violation("printed " + answer.problem);
    starts_.answered(*process);
    process->leaves = run_->ending.begun() && !process->exited;
    auto& [outcome, warning] = *answer.value;
    if (!warning.empty()) starts_.mended(*process, warning);
    if (outcome.kind != Outcome::Kind::done) outcome.evidence.stderr_tail = process->tail.text();
    finish(std::move(outcome));
  }

  void on_output_end() {
    if (process_->exited || !run_) return;  // idle: found by the next open()
    blame_after_exit("closed its stdout " + process_->without_answer());
  }

  void on_input_broken() {
    if (!run_ || process_->in_pipe() >= run_->end()) return;  // it has read all of this one
    blame_after_exit("closed its stdin before the message's end");
  }

  /// Calls it a violation, unless an exit comes soon and explains it better.
  void blame_after_exit(std::string what) {
    if (!run_ || run_->ending.verdict) return;
    run_->wait_for_exit.start(kWaitForExit, [this, what = std::move(what)] { violation(what); });
  }

  /// The process broke the contract while a message ran: the message is retried when it is dead.
  void violation(std::string_view what) {
    if (run_->ending.verdict) return;
    run_->deadline.cancel();
    // What a program prints because it was asked to end breaks no contract.
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
    // It may have answered and ended at once; a process that holds the pipe is not waited for.
    process->out.drain();
    process->read_last_words();
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

  /// It ended by itself without an answer to the message that runs.
  Outcome ended_by_itself(Process& process, const ChildExit& exit) {
    const std::string tail = process.tail.text(), what = "the handler " + ended(exit);
    if (process.read_nothing_from(run_->begin)) {
      // Not one byte of the message was read: no attempt of anything.
      Outcome outcome = not_started_outcome(what + " before it read the message", tail);
      starts_.failed(process, outcome.error);
      return outcome;
    }
    const bool planned = exit.signal == 0 && exit.exit_code == 0;
    const std::string doubt = planned ? starts_.doubt_after_exit() : std::string();
    starts_.has_read();
    return ended_outcome(what + " " + process.without_answer() + doubt, exit, tail);
  }

  /// A handler that ends after an answer (some do after each, or after so many) may just not be
  /// gone yet when the next message is written. One that never answered gets no second try here.
  bool may_start_over(const Process& process) const {
    return process.answered && !run_->ending.begun() && process.read_nothing_from(run_->begin) &&
           process.lines.partial().empty();
  }

  bool start_over() {
    try {
      start_process();
    } catch (const std::system_error&) {
      return false;  // counted, and the message is released
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

  /// Between messages, or after the last one's answer: kills the process; the next open() starts
  /// another.
  void retire_unasked() {
    if (!process_->exited) {
      log::warn("unexpected output of the handler, it is killed", {{"handler_pid", process_->pid}});
      kill_group(process_->pid);
    }
    starts_.failed(*process_, "the handler wrote to its stdout without being asked");
    let_go();
  }

  /// It closed its stdout between messages: most likely it is ending, and its exit explains why.
  void let_end() {
    process_->left_by_itself = true;
    process_->ender.kill_after(process_->pid, kWaitForExit);
    starts_.failed(*process_, "the handler closed its stdout before it had a message");
    let_go();
  }

  /// Nothing depends on the process any more but its exit.
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
  StderrBudget budget_;  ///< before the processes, which write to it
  std::optional<JsonlRun> run_;
  std::shared_ptr<Process> process_;               ///< serves messages
  std::vector<std::shared_ptr<Process>> leaving_;  ///< killed or being ended, not yet reaped
};

}  // namespace

std::unique_ptr<ProcessHandler> make_jsonl_handler(asio::io_context& io, HandlerSettings settings) {
  return std::make_unique<JsonlHandler>(io, std::move(settings));
}

}  // namespace pgforeman
