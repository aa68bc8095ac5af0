#include "handlers/stderr_log.h"

#include <algorithm>

#include "handlers/text.h"
#include "system/log.h"

namespace pgforeman {
namespace {

constexpr std::size_t kLineBytes = 2048;  // a whole log line, with keys and escapes, has 4,096
constexpr int kLinesPerSecond = 50;
constexpr Millis kSayAgain{1000};
constexpr int kBurst = 200;  // enough for one or two stack traces at once

}  // namespace

bool RateLimit::allow(TimePoint now) {
  const double seconds = std::chrono::duration<double>(now - last_).count();
  last_ = now;
  tokens_ = std::min(burst_, tokens_ + seconds * per_second_);
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

StderrBudget::StderrBudget() : limit_(kLinesPerSecond, kBurst, Clock::now()) {}

bool StderrBudget::allow() {
  if (!limit_.allow(Clock::now())) {
    ++left_out_;
    return false;
  }
  say_left_out();
  return true;
}

void StderrBudget::say_left_out() {
  if (left_out_ == 0) return;
  log::warn("the handler writes too fast to stderr: lines were left out", {{"lines", left_out_}});
  left_out_ = 0;
  said_at_ = Clock::now();
}

void StderrBudget::process_ended() {
  if (Clock::now() - said_at_ >= kSayAgain) say_left_out();
}

void StderrLog::feed(std::string_view chunk) {
  while (!chunk.empty()) {
    const std::size_t newline = chunk.find('\n');
    const bool ends = newline != std::string_view::npos;
    // Four more bytes than are logged, so that log_line() can cut between characters.
    line_ += chunk.substr(0, std::min(newline, kLineBytes + 4 - line_.size()));
    if (!logged_ && (ends || line_.size() > kLineBytes)) log_line();
    if (!ends) return;
    line_.clear();
    logged_ = false;
    chunk.remove_prefix(newline + 1);
  }
}

void StderrLog::finish() {
  if (!line_.empty() && !logged_) log_line();
  line_.clear();
  budget_.process_ended();
}

void StderrLog::log_line() {
  logged_ = true;
  if (!budget_.allow()) return;
  const std::string clean = clean_text(line_);
  const std::string_view text = trim_end(utf8_prefix(clean, kLineBytes));
  if (text.empty()) return;
  log::info(text, {{"from", "handler"}, {"handler_pid", pid_}});
}

}  // namespace pgforeman
