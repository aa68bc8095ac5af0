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

#include "base/log.h"
#include "handlers/capture.h"
#include "handlers/handed_over.h"
#include "handlers/handler.h"
#include "handlers/json_line.h"
#include "handlers/jsonl_outcome.h"
#include "handlers/jsonl_process.h"
#include "handlers/limits.h"
#include "handlers/one_shot_timer.h"
#include "handlers/outcome.h"
#include "handlers/pipe.h"
#include "handlers/process_group.h"
#include "handlers/spawn.h"
#include "handlers/start_watch.h"
#include "handlers/stderr_log.h"
#include "handlers/text.h"

namespace pgforeman {
namespace {

namespace asio = boost::asio;
// A process that ends closes its pipes a moment before its exit can be reaped. Its exit explains
// more than the closed pipe, so it is waited for that long.
constexpr Millis kWaitForExit{250};
// Beyond that, what is handed over early saves nothing.
constexpr std::size_t kMostAhead = std::size_t{256} * 1024;

class JsonlHandler final : public Handler {
 public:
  JsonlHandler(asio::io_context& io, HandlerSettings settings)
      : io_(io),
        settings_(std::move(settings)),
        queue_json_(json_string(settings_.queue)),
        starts_(settings_.start_news, settings_.hint_after),
        delivery_(io) {
    unbuffer_python(settings_.environment);
  }

  ~JsonlHandler() override {
    if (process_) kill_group(process_->pid);
    for (const auto& process : leaving_) kill_group(process->pid);
  }

  void open() override {
    if (!ahead_.empty()) return;  // it has work, or has answered: its output is for somebody
    // Reads what is not an answer to anything now, so that no later message is blamed for it.
    if (process_ && !run_ && process_->out.is_open()) process_->out.drain();
    if (process_ && !run_ && !process_->out.is_open()) let_end();
    if (!process_) start_process();
  }

  void run(const Message& message, Done done) override {
    if (run_) throw std::logic_error("jsonl handler: a message is running already");
    // Others before it are not to run any more: the queue gave them to somebody else.
    while (!ahead_.begins_with(message.lease) && ahead_.front_is_answered()) ahead_.take();
    if (!ahead_.empty() && !ahead_.begins_with(message.lease)) take_back();
    const bool was_handed = !ahead_.empty();
    HandedLine line = was_handed ? ahead_.take() : line_of(message);
    if (line.outcome) return done(std::move(*line.outcome));
    try {
      if (!was_handed) open();
    } catch (const std::system_error& error) {
      // Not the message's fault: it goes back as it came.
      delivery_.deliver(std::move(done), released_outcome(Cause::none, error.what()));
      return;
    }
    run_.emplace(io_, std::move(line), std::move(done));
    process_->tail.clear();
    run_->deadline.start(settings_.timeout, [this] {
      run_->verdict = {Cause::timeout,
                       timed_out(settings_.timeout) + starts_.doubt_after_timeout()};
      process_->ender.begin(process_->pid, settings_.stop_signal, settings_.kill_grace);
    });
    if (!was_handed) {
      give(run_->line);
    } else if (!process_->out.is_open()) {
      on_output_end();
    } else if (process_->in_broken) {
      on_input_broken();
    }
  }

  std::size_t room() const override {
    const std::size_t most = settings_.window - 1;
    const bool reads =
        process_ && !process_->exited && process_->in.unwritten() == 0 && process_->out.is_open();
    const bool is_ending = run_ && (run_->verdict || run_->ending != Ending::none);
    // Many at a time, as a write costs more than a line.
    return reads && !is_ending && ahead_.size() <= most / 2 ? most - ahead_.size() : 0;
  }

  bool has(const Lease& lease) const override { return ahead_.has(lease); }

  void hand_over(std::span<const Message* const> messages) override {
    outbox_.clear();
    for (const Message* message : messages) {
      HandedLine line = line_of(*message);
      line.begin = process_->given + outbox_.size();
      outbox_ += line.request;
      ahead_.add(std::move(line));
      if (outbox_.size() > kMostAhead) break;
    }
    process_->given += outbox_.size();
    process_->in.write(outbox_);
  }

  void take_back() override {
    if (process_) {
      if (!process_->exited) kill_group(process_->pid);
      let_go();
    }
  }

  void stop(StopReason reason, Millis grace) override {
    // One that has ended by itself a moment ago is no shutdown: only its exit is still to be read.
    if (!run_ || (!process_->exited && has_ended(process_->pid))) return;
    if (reason == StopReason::lease_lost) {
      run_->ending = Ending::lease_lost;
    } else if (run_->ending == Ending::none) {
      run_->ending = Ending::shutdown;
    }
    run_->deadline.cancel();
    process_->ender.begin(process_->pid, settings_.stop_signal, grace);
  }

  void kill_for_memory(std::string error) override {
    if (!run_ || run_->verdict || run_->ending != Ending::none) return;
    run_->ending = Ending::memory;
    run_->verdict = {Cause::out_of_memory, std::move(error)};
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

  HandedLine line_of(const Message& message) const {
    return {message.lease, request_line(message, queue_json_, settings_.timeout), 0, {}};
  }

  void give(HandedLine& line) {
    line.begin = process_->given;
    process_->given = line.end();
    process_->in.write(line.request);
  }

  void start_process() {
    try {
      Spawned spawned = spawn(settings_.argv, settings_.environment);
      const pid_t pid = spawned.pid;
      try {
        process_ = std::make_shared<Process>(
            io_, std::move(spawned), budget_,
            JsonlProcess::Heard{[this](std::string_view chunk) { on_output(chunk); },
                                [this] { on_output_end(); }, [this] { on_input_broken(); },
                                settings_.on_stderr});
      } catch (...) {
        kill_group(pid);  // reaped as a stranger
        throw;
      }
    } catch (const std::system_error& error) {
      starts_.cannot_spawn(error.what());
      throw;
    }
    watch_start(*process_);
    log::debug("handler started", {{"handler_pid", process_->pid}});
  }

  void watch_start(Process& process) {
    process.watch.start(StartWatch::kLook, [this, &process] {
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
    if (process->leaves) return ahead_.unanswered() != nullptr ? take_back() : let_go();
    if (!fits) {
      process->lines.clear();
      if (run_) return violation("printed a line that is too long to be an answer");
    }
    if (run_ || (fits && ahead_.unanswered() != nullptr)) return;
    if (!fits || !process->lines.partial().empty()) retire_unasked();
  }

  void on_line(const std::shared_ptr<Process>& process, std::string_view line) {
    if (process != process_ || trim_end(line).empty()) return;
    if (!run_ && process->leaves && ahead_.unanswered() == nullptr) return;
    if (!run_) return on_early_line(line);
    if (run_->verdict || run_->ending == Ending::lease_lost) return;
    if (process->in_pipe() < run_->line.end()) {
      return violation("answered before it had read the whole message");
    }
    auto answer = parse_answer(line, run_->line.lease.id);
    if (!answer) return violation("printed " + answer.problem);
    starts_.answered(*process);
    process->leaves = run_->ending != Ending::none && !process->exited;
    finish(believed(std::move(*answer.value)));
  }

  Outcome believed(Answer answer) {
    if (answer.outcome.kind != Outcome::Kind::done) {
      answer.outcome.evidence.stderr_tail = process_->tail.text();
    }
    if (!answer.warning.empty()) starts_.mended(*process_, answer.warning);
    return std::move(answer.outcome);
  }

  /// An answer to what was handed over, before its run. What is none fails no message: the process
  /// is killed, and who breaks the contract in the next one's run is found out.
  void on_early_line(std::string_view text) {
    const HandedLine* line = ahead_.unanswered();
    if (line == nullptr || process_->in_pipe() < line->end()) return retire_unasked();
    auto answer = parse_answer(text, line->lease.id);
    if (!answer) return retire_unasked();
    ahead_.answer(believed(std::move(*answer.value)));
  }

  void on_output_end() {
    if (process_->exited || !run_) return;  // idle: found by the next open()
    blame_after_exit("closed its stdout " + process_->without_answer());
  }

  void on_input_broken() {
    process_->in_broken = true;
    if (!run_ || process_->in_pipe() >= run_->line.end()) return;  // it has read all of this one
    blame_after_exit("closed its stdin before the message's end");
  }

  /// Calls it a violation, unless an exit comes soon and explains it better.
  void blame_after_exit(std::string what) {
    if (!run_ || run_->verdict) return;
    run_->wait_for_exit.start(kWaitForExit, [this, what = std::move(what)] { violation(what); });
  }

  /// The process broke the contract while a message ran: the message is retried when it is dead.
  void violation(std::string_view what) {
    if (run_->verdict) return;
    // What a program prints because it was asked to end breaks no contract.
    if (run_->ending == Ending::none) {
      run_->verdict = {Cause::contract, "the handler " + std::string(what)};
    }
    run_->deadline.cancel();
    if (run_->verdict && process_->read_nothing_from(run_->line.begin)) {
      starts_.failed(*process_, run_->verdict->second);
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
    ahead_.forget_unanswered();
    if (run_) {
      if (may_start_over(*process) && start_over()) return;
      Outcome outcome = outcome_of_exit(*run_, *process, exit, starts_.doubt_after_exit());
      if (run_->ending == Ending::none && !run_->verdict) note_start(*process, outcome.error);
      return finish(std::move(outcome));
    }
    starts_.ended_idle(*process, exit);
    process->log_end(exit);
  }

  /// It ended by itself without an answer to the message that runs.
  void note_start(Process& process, const std::string& why) {
    if (process.read_nothing_from(run_->line.begin)) {
      starts_.failed(process, why);
    } else {
      starts_.has_read();
    }
  }

  /// A handler that ends after an answer (some do after each, or after so many) may just not be
  /// gone yet when the next message is written. One that never answered gets no second try here.
  bool may_start_over(const Process& process) const {
    return process.answered && run_->ending == Ending::none && !run_->verdict &&
           process.read_nothing_from(run_->line.begin) && process.lines.partial().empty();
  }

  bool start_over() {
    try {
      start_process();
    } catch (const std::system_error&) {
      return false;  // counted, and the message is released
    }
    run_->wait_for_exit.cancel();
    give(run_->line);
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
      log::warn("the handler wrote to its stdout without being asked: it is killed",
                {{"handler_pid", process_->pid}});
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
    ahead_.forget_unanswered();
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
  HandedOver ahead_;
  std::string outbox_;                             ///< what is being written of it
  std::shared_ptr<Process> process_;               ///< serves messages
  std::vector<std::shared_ptr<Process>> leaving_;  ///< killed or told to end, not yet reaped
};

}  // namespace

std::unique_ptr<Handler> make_jsonl_handler(asio::io_context& io, HandlerSettings settings) {
  return std::make_unique<JsonlHandler>(io, std::move(settings));
}

}  // namespace pgforeman
