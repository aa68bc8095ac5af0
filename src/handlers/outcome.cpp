#include "handlers/outcome.h"

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

std::string with_tail(std::string_view what, std::string_view stderr_tail) {
  std::string error(what);
  if (!stderr_tail.empty()) {
    error += ": ";
    error += stderr_tail;
  }
  return error;
}

}  // namespace

Outcome exec_outcome(const ChildExit& exit, Ending ending, Millis timeout, std::string result,
                     std::string_view stderr_tail) {
  if (ending == Ending::lease_lost) return released_outcome(explain(ending));
  if (ending == Ending::timeout) return retry_outcome(timed_out(timeout), stderr_tail);
  Outcome outcome;
  if (exit.signal == 0 && exit.exit_code == 0) {
    outcome.kind = Outcome::Kind::done;
    outcome.result = std::move(result);
    return outcome;
  }
  if (means_dead(exit)) {
    outcome.kind = Outcome::Kind::dead;
    outcome.error = with_tail(exit.explain(), stderr_tail);
    return outcome;
  }
  if (ending == Ending::shutdown) return released_outcome(explain(ending));
  return retry_outcome(exit.explain(), stderr_tail);
}

Outcome retry_outcome(std::string_view what, std::string_view stderr_tail) {
  Outcome outcome;
  outcome.kind = Outcome::Kind::retry;
  outcome.error = with_tail(what, stderr_tail);
  return outcome;
}

Outcome released_outcome(std::string_view why) {
  Outcome outcome;
  outcome.kind = Outcome::Kind::released;
  outcome.error = why;
  return outcome;
}

std::string timed_out(Millis timeout) {
  return "timed out after " + format_duration(timeout);
}

std::string_view explain(Ending ending) {
  switch (ending) {
    case Ending::none:
      return "";
    case Ending::shutdown:
      return "ended by a shutdown before it finished";
    case Ending::timeout:
      return "timed out";
    case Ending::lease_lost:
      return "the lease was lost while it ran";
  }
  return "";
}

}  // namespace pgforeman
