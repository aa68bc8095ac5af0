#include "handlers/start_watch.h"

#include <algorithm>
#include <string_view>

#include "handlers/outcome.h"
#include "system/log.h"

namespace pgforeman {
namespace {

// A process without a message that has not ended after this time has most likely started.
constexpr Millis kWaitsAfter{2000};
constexpr const char* kQuestion =
    "does it speak jsonl, and does it flush its output after each answer?";

}  // namespace

void unbuffer_python(std::vector<std::string>& environment) {
  constexpr std::string_view kVariable = "PYTHONUNBUFFERED=";
  const bool set =
      std::any_of(environment.begin(), environment.end(),
                  [&](const std::string& variable) { return variable.starts_with(kVariable); });
  if (!set) environment.push_back(std::string(kVariable) + "1");
}

void StartWatch::mended(const JsonlProcess& process, const std::string& what) {
  if (!mended_.allow(Clock::now())) return;
  log::warn("handler's answer repaired", {{"what", what}, {"handler_pid", process.pid}});
}

void StartWatch::look(JsonlProcess& process, const JsonlRun* run) {
  const TimePoint now = Clock::now();
  const bool reads = run != nullptr && !process.read_nothing_from(run->begin);
  const Millis waits_after = std::max(kWaitsAfter, 2 * longest_failed_);
  if (!process.reported_alive &&
      (reads || (run == nullptr && now - process.started_at >= waits_after))) {
    process.reported_alive = true;
    if (news_.alive) news_.alive();
  }
  if (run != nullptr && !ever_answered_ && !hinted_ && now - run->begun_at >= hint_after_) {
    hinted_ = true;
    log::warn(std::string("the handler has not answered yet: ") + kQuestion,
              {{"handler_pid", process.pid}});
  }
}

void StartWatch::answered(JsonlProcess& process) {
  process.answered = ever_answered_ = true;
  failed_ = 0;
}

void StartWatch::failed(JsonlProcess& process, const std::string& why) {
  if (process.answered || process.blamed) return;
  process.blamed = true;
  longest_failed_ = std::max(longest_failed_,
                             std::chrono::duration_cast<Millis>(Clock::now() - process.started_at));
  cannot_spawn(why);
}

void StartWatch::cannot_spawn(const std::string& why) {
  ++failed_;
  if (news_.failed) news_.failed(why);
}

void StartWatch::ended_idle(JsonlProcess& process, const ChildExit& exit) {
  if (process.reported_alive && exit.signal == 0 && exit.exit_code == 0) return;
  failed(process, not_started_outcome("the handler " + ended(exit), process.tail.text()).error);
}

std::string StartWatch::doubt_after_timeout() const {
  return ever_answered_ ? std::string() : std::string(" without a first answer: ") + kQuestion;
}

std::string StartWatch::doubt_after_exit() const {
  return ever_answered_ ? std::string()
                        : " (with jsonl exit code 0 is not an answer: does the handler want "
                          "HANDLER_MODE=exec?)";
}

}  // namespace pgforeman
