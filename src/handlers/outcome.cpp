#include "handlers/outcome.h"

#include <csignal>

#include "base/duration.h"

namespace pgforeman {
namespace {

// The two codes by which mail and service tools say "trying again will not help": EX_DATAERR of
// sysexits.h, and 100, permanent failure of qmail and its relatives.
constexpr int kDeadCodes[] = {65, 100};

bool means_dead(const ChildExit& exit) {
  if (exit.signal != 0) return false;
  for (const int code : kDeadCodes) {
    if (exit.exit_code == code) return true;
  }
  return false;
}

// Parts what we say from what the handler said.
constexpr std::string_view kStderr = "; stderr: ";

std::string with_tail(std::string_view what, std::string_view stderr_tail) {
  std::string error(what);
  if (!stderr_tail.empty()) {
    error += kStderr;
    error += stderr_tail;
  }
  return error;
}

}  // namespace

Outcome exec_outcome(const ChildExit& exit, Ending ending, Millis timeout, std::string result,
                     std::string_view stderr_tail) {
  if (ending == Ending::lease_lost) return released_outcome(ending);
  // proves: P29 stop
  if (ending == Ending::shutdown) return released_outcome(ending, exit, stderr_tail);
  Outcome outcome;
  if (ending == Ending::timeout) {
    outcome = retry_outcome(Cause::timeout, timed_out(timeout), stderr_tail);
  } else if (exit.signal == 0 && exit.exit_code == 0) {
    outcome.kind = Outcome::Kind::done;
    outcome.result = std::move(result);
  } else if (means_dead(exit)) {
    outcome = ended_outcome(exit.explain(), exit, stderr_tail);
    outcome.kind = Outcome::Kind::dead;
    outcome.evidence.cause = Cause::dead;
  } else {
    return ended_outcome(exit.explain(), exit, stderr_tail);
  }
  add_exit(outcome.evidence, exit);
  return outcome;
}

bool asks_to_end(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGHUP;
}

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
  // The lines before the last are in the log already.
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

Outcome released_outcome(Ending ending) {
  return ending == Ending::lease_lost
             ? released_outcome(Cause::lease_lost, "the lease was lost while it ran")
             : released_outcome(Cause::shutdown, "ended by a shutdown before it finished");
}

Outcome released_outcome(Ending ending, const ChildExit& exit, std::string_view stderr_tail) {
  Outcome outcome = released_outcome(ending);
  outcome.evidence.stderr_tail = stderr_tail;
  add_exit(outcome.evidence, exit);
  return outcome;
}

Outcome memory_outcome(std::string_view what, const ChildExit& exit, std::string_view stderr_tail) {
  Outcome outcome = retry_outcome(Cause::out_of_memory, what, stderr_tail);
  outcome.kind = Outcome::Kind::crash;
  add_exit(outcome.evidence, exit);
  return outcome;
}

std::string ended(const ChildExit& exit) {
  return (exit.signal != 0 ? "was " : "") + exit.explain();
}

std::string timed_out(Millis timeout) {
  return "timed out after " + format_duration(timeout);
}

}  // namespace pgforeman
