#include "maintenance/rescue_outcome.h"

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

LedgerReading::Entry entry_in(MessageState state, Outcome::Kind outcome = Outcome::Kind::done) {
  LedgerReading::Entry entry{};
  entry.state = state;
  entry.outcome = outcome;
  entry.after_ms = 250;
  entry.evidence.cause = Cause::exit_code;
  entry.evidence.exit_code = 3;
  return entry;
}

LedgerReading ledger_of(Cause blame) {
  LedgerReading ledger;
  ledger.death.blame = blame;
  ledger.death.signal = 11;
  ledger.death.explain = "consumer killed by SIGSEGV";
  ledger.stderr_tail = "last\xFFwords \n";
  return ledger;
}

}  // namespace

TEST_CASE("A rescued message is settled by its ledger", "[rescue_outcome]") {
  using enum MessageState;
  using Kind = Outcome::Kind;
  const auto ledger = ledger_of(Cause::consumer_crash);
  CHECK(outcome_of(entry_in(waiting), ledger).kind == Kind::released);
  CHECK(outcome_of(entry_in(running), ledger).kind == Kind::crash);
  CHECK(outcome_of(entry_in(running_lost), ledger).kind == Kind::crash);
  for (const auto state : {ended, settling, in_doubt}) {
    for (const auto kind : {Kind::done, Kind::retry, Kind::crash, Kind::dead,
                            Kind::max_claims_exceeded, Kind::released}) {
      INFO(to_string(state) << ", " << static_cast<int>(kind));
      CHECK(outcome_of(entry_in(state, kind), ledger).kind == kind);
    }
  }
}

TEST_CASE("A rescued failure keeps its evidence and its handler's delay", "[rescue_outcome]") {
  const auto outcome = outcome_of(entry_in(MessageState::ended, Outcome::Kind::retry),
                                  ledger_of(Cause::consumer_crash));
  CHECK(outcome.error == "the run failed, its error is lost: consumer killed by SIGSEGV");
  CHECK(outcome.evidence.exit_code == 3);
  CHECK(outcome.after == 250ms);
}

TEST_CASE("The running message counts a crash at once, with the end of its stderr",
          "[rescue_outcome]") {
  const auto crash = outcome_of(entry_in(MessageState::running), ledger_of(Cause::consumer_crash));
  CHECK(crash.error == "consumer killed by SIGSEGV while it ran this message");
  CHECK(crash.after == 0ms);
  CHECK(crash.evidence.cause == Cause::consumer_crash);
  CHECK(crash.evidence.stderr_tail == "last\xEF\xBF\xBDwords");
}

TEST_CASE("A message is not blamed for a consumer that the fleet ended", "[rescue_outcome]") {
  const auto outcome = outcome_of(entry_in(MessageState::running), ledger_of(Cause::none));
  CHECK(outcome.kind == Outcome::Kind::released);
  CHECK(outcome.evidence.cause == Cause::shutdown);
}
