#include "consumer/run_end.h"

#include <csignal>

#include "support/catch.h"

using namespace pgforeman;
using Kind = Ruling::Kind;
using std::chrono::milliseconds;

namespace {

Outcome ended_with(int code) {
  Outcome outcome{code == 0 ? Outcome::Kind::done : Outcome::Kind::retry};
  if (code == 65) outcome.kind = Outcome::Kind::dead;
  outcome.evidence.cause = code == 0 ? Cause::none : code == 65 ? Cause::dead : Cause::exit_code;
  outcome.evidence.exit_code = code;
  return outcome;
}

Outcome ended_by(int signal) {
  Outcome outcome{Outcome::Kind::crash};
  outcome.evidence.cause = Cause::signal;
  outcome.evidence.signal = signal;
  return outcome;
}

/// A jsonl process that ended by itself without an answer.
Outcome unanswered() {
  Outcome outcome = ended_with(1);
  outcome.evidence.exit_code = 0;
  return outcome;
}

TimePoint at(int ms) {
  return TimePoint{} + std::chrono::hours(1) + milliseconds(ms);
}

/// A run from 1,000 ms to 2,000 ms.
RunEnd run(std::optional<int> signalled, std::optional<int> drains, bool fleet_stops = true) {
  RunEnd end{at(1000), at(2000), {}, {}, fleet_stops, SIGTERM};
  if (signalled) end.signalled_at = at(*signalled);
  if (drains) end.drains_since = at(*drains);
  return end;
}

constexpr std::nullopt_t kNever = std::nullopt;

}  // namespace

TEST_CASE("An answer counts after any signal", "[run_end]") {
  Outcome answer{Outcome::Kind::done};
  CHECK_FALSE(is_by_exit(answer));
  CHECK(rule_on(answer, run(1500, 1500), at(2000)).kind == Kind::stands);
  answer.kind = Outcome::Kind::dead;
  answer.evidence.cause = Cause::dead;
  CHECK(rule_on(answer, run(1500, 1500), at(2000)).kind == Kind::stands);
}

TEST_CASE("Without signals an exit counts, in a drain too", "[run_end]") {
  for (const Outcome& outcome : {ended_with(0), ended_with(3), ended_with(65), ended_by(SIGSEGV)}) {
    CHECK(rule_on(outcome, run(kNever, kNever), at(2000)).kind == Kind::stands);
    CHECK(rule_on(outcome, run(kNever, 1700), at(2000)).kind == Kind::stands);
  }
}

TEST_CASE("A run that ends right after a drain began is held for a signal to all", "[run_end]") {
  const Ruling ruling = rule_on(ended_with(0), run(kNever, 1990), at(2000));
  CHECK(ruling.kind == Kind::wait);
  CHECK(ruling.until == at(1990) + kKillSpread);
  CHECK(rule_on(ended_with(0), run(2010, 1990), at(2010)).kind == Kind::released);
  CHECK(rule_on(ended_with(0), run(kNever, 1990), ruling.until).kind == Kind::stands);
  // One child alone that is replaced: nothing sends a signal to all.
  CHECK(rule_on(ended_with(0), run(kNever, 1990, false), at(2000)).kind == Kind::stands);
}

TEST_CASE("After a signal to every process and a drain no exit counts", "[run_end]") {
  for (const Outcome& outcome :
       {ended_with(0), ended_with(1), ended_with(65), ended_by(SIGTERM), unanswered()}) {
    CHECK(rule_on(outcome, run(1500, 1500), at(2000)).kind == Kind::released);
    CHECK(rule_on(outcome, run(1990, 2300), at(2300)).kind == Kind::released);
    CHECK(rule_on(outcome, run(2100, 2100), at(2100)).kind == Kind::released);
  }
  // Too long ago, or too late.
  CHECK(rule_on(ended_with(0), run(400, 1000), at(2000)).kind == Kind::stands);
  CHECK(rule_on(ended_with(3), run(kNever, 2600), at(2600)).kind == Kind::stands);
}

TEST_CASE("A run that was asked to end is released by a drain, else it has failed", "[run_end]") {
  for (const Outcome& outcome : {ended_by(SIGTERM), ended_by(SIGINT), ended_by(SIGHUP),
                                 ended_with(143), ended_with(130), ended_with(129), unanswered()}) {
    const Ruling ruling = rule_on(outcome, run(kNever, kNever), at(2000));
    CHECK(ruling.kind == Kind::wait);
    CHECK(ruling.until == at(2000) + kSameStop);
    CHECK(rule_on(outcome, run(kNever, 2400), at(2400)).kind == Kind::released);
    CHECK(rule_on(outcome, run(kNever, 1100), at(2000)).kind == Kind::released);
    CHECK(rule_on(outcome, run(kNever, kNever), at(2500)).kind == Kind::failed);
  }
  CHECK(rule_on(ended_by(SIGSEGV), run(kNever, kNever), at(2000)).kind == Kind::stands);
}

TEST_CASE("After a signal to the consumer without a drain no exit counts as done", "[run_end]") {
  CHECK(rule_on(ended_with(0), run(1500, kNever), at(2000)).kind == Kind::wait);
  CHECK(rule_on(ended_with(0), run(1500, kNever), at(2500)).kind == Kind::failed);
  // It began after the signal.
  CHECK(rule_on(ended_with(0), run(900, kNever), at(2500)).kind == Kind::stands);
}

TEST_CASE("A corrected outcome keeps the evidence and counts no crash", "[run_end]") {
  Outcome released = ruled(ended_by(SIGTERM), Kind::released);
  CHECK(released.kind == Outcome::Kind::released);
  CHECK(released.evidence.cause == Cause::shutdown);
  CHECK(released.evidence.signal == SIGTERM);
  Outcome failed = ruled(ended_by(SIGTERM), Kind::failed);
  CHECK(failed.kind == Outcome::Kind::retry);
  CHECK(failed.evidence.cause == Cause::signal);
  failed = ruled(ended_with(0), Kind::failed);
  CHECK(failed.kind == Outcome::Kind::retry);
  CHECK(failed.evidence.cause == Cause::signal);
  CHECK_FALSE(failed.error.empty());
  CHECK(ruled(ended_with(143), Kind::failed).evidence.cause == Cause::exit_code);
}
