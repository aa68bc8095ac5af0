#include "handlers/outcome.h"

#include <csignal>

#include "text/quantity.h"

namespace pgforeman {
namespace {

/// True for a signal with which systemd or an operator asks a process to end.
bool asks_to_end(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGHUP;
}

std::string with_tail(std::string_view what, std::string_view stderr_tail) {
  std::string error(what);
  if (!stderr_tail.empty()) error.append("; stderr: ").append(stderr_tail);
  return error;
}

}  // namespace

void add_exit(Evidence& evidence, const ChildExit& exit) {
  evidence.exit_code = exit.signal == 0 ? exit.exit_code : -1;
  evidence.signal = exit.signal;
  evidence.peak_rss_kib = exit.peak_rss_kib;
}

Outcome ended_outcome(std::string_view what, const ChildExit& exit, std::string_view stderr_tail) {
  const Cause cause = exit.signal == 0     ? Cause::exit_code
                      : exit.out_of_memory ? Cause::out_of_memory
                                           : Cause::signal;
  Outcome outcome = retry_outcome(cause, what, stderr_tail);
  if (exit.signal != 0 && !asks_to_end(exit.signal)) outcome.kind = Outcome::Kind::crash;
  add_exit(outcome.evidence, exit);
  return outcome;
}

Outcome retry_outcome(Cause cause, std::string_view what, std::string_view stderr_tail) {
  Outcome outcome;
  outcome.kind = Outcome::Kind::retry;
  outcome.error = with_tail(what, stderr_tail);
  outcome.evidence.cause = cause;
  outcome.evidence.stderr_tail = stderr_tail;
  return outcome;
}

Outcome not_started_outcome(std::string_view what, std::string_view stderr_tail) {
  return released_outcome(Cause::none,
                          with_tail(what, stderr_tail.substr(stderr_tail.rfind('\n') + 1)));
}

Outcome released_outcome(Cause cause, std::string_view why) {
  Outcome outcome;
  outcome.kind = Outcome::Kind::released;
  outcome.error = why;
  outcome.evidence.cause = cause;
  return outcome;
}

std::string ended(const ChildExit& exit) {
  return (exit.signal != 0 ? "was " : "") + exit.explain();
}

std::string timed_out(Millis timeout) {
  return "timed out after " + format_duration(timeout);
}

}  // namespace pgforeman
