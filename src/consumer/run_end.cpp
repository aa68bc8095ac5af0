#include "consumer/run_end.h"

#include <csignal>
#include <utility>

namespace pgforeman {
namespace {

/// True if the process ended as after a stop signal: by that signal, by exit code 128+signal, or
/// (jsonl) by code 0 without an answer.
bool ended_like_stopped(const Evidence& evidence, int stop_signal) {
  if (evidence.cause == Cause::exit_code && evidence.exit_code == 0) return true;
  for (const int number : {SIGTERM, SIGINT, SIGHUP, stop_signal}) {
    if (evidence.signal == number) return number != 0;
    if (evidence.exit_code == 128 + number) return true;
  }
  return false;
}

}  // namespace

bool is_by_exit(const Outcome& outcome) {
  const Evidence& evidence = outcome.evidence;
  switch (evidence.cause) {
    case Cause::exit_code:
    case Cause::signal:
    case Cause::contract:  // a program that is asked to end may say so on its standard output
      return true;
    case Cause::dead:
    case Cause::none:
      return evidence.exit_code >= 0;  // the process ended; otherwise the handler answered
    default:
      return false;
  }
}

Ruling rule_on(const Outcome& outcome, const RunEnd& end, TimePoint now) {
  using Kind = Ruling::Kind;
  if (!is_by_exit(outcome)) return {};
  const bool asked = ended_like_stopped(outcome.evidence, end.stop_signal);
  // The consumer received a signal while the run lasted (+-500 ms): the handler received it too.
  const bool hit = end.signalled_at && *end.signalled_at >= end.started_at - kSameStop &&
                   *end.signalled_at <= end.ended_at + kSameStop;
  if (end.drains_since && *end.drains_since <= end.ended_at + kSameStop) {
    if (asked || hit) return {Kind::released};  // proves: P29 outside
    // The signal may not have reached this consumer yet.
    const TimePoint until = *end.drains_since + kKillSpread;
    const bool early = end.fleet_stops && end.ended_at <= until && now < until;
    return early ? Ruling{Kind::wait, until} : Ruling{};
  }
  if (!asked && !hit) return {};
  if (now < end.ended_at + kSameStop) return {Kind::wait, end.ended_at + kSameStop};
  const bool hit_while_it_ran = hit && *end.signalled_at >= end.started_at;
  return asked || hit_while_it_ran ? Ruling{Kind::failed} : Ruling{};
}

Outcome ruled(Outcome outcome, Ruling::Kind ruling) {
  if (outcome.kind == Outcome::Kind::done) {
    outcome.error = "exited with code 0 when a signal from outside had reached it";
    outcome.result.clear();
  }
  if (ruling == Ruling::Kind::released) {
    outcome.kind = Outcome::Kind::released;
    outcome.evidence.cause = Cause::shutdown;
    outcome.error = "ended by a shutdown before it finished: " + outcome.error;
  } else {
    const bool by_code = outcome.evidence.cause == Cause::exit_code;
    outcome.kind = Outcome::Kind::retry;
    if (!by_code) outcome.evidence.cause = Cause::signal;
  }
  return outcome;
}

}  // namespace pgforeman
