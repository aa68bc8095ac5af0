#include "maintenance/rescue_outcome.h"

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

LedgerReading::Entry entry_in(LeaseState state) {
  LedgerReading::Entry entry{};
  entry.state = state;
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

TEST_CASE("A rescued message ends as its ledger says", "[rescue_outcome]") {
  using Ended = Outcome::Kind;
  struct Case {
    LeaseState state;
    Ended kind;
  };
  for (const auto& [state, kind] :
       {Case{LeaseState::held, Ended::released}, Case{LeaseState::done, Ended::done},
        Case{LeaseState::retry, Ended::retry}, Case{LeaseState::crash, Ended::crash},
        Case{LeaseState::dead, Ended::dead}, Case{LeaseState::worn_out, Ended::worn_out},
        Case{LeaseState::released, Ended::released}, Case{LeaseState::running, Ended::crash},
        Case{static_cast<LeaseState>(99), Ended::released}}) {
    INFO(static_cast<int>(state));
    CHECK(outcome_of(entry_in(state), ledger_of(Cause::consumer_crash)).kind == kind);
  }
}

TEST_CASE("What had failed keeps its evidence and its handler's delay", "[rescue_outcome]") {
  const auto outcome = outcome_of(entry_in(LeaseState::retry), ledger_of(Cause::consumer_crash));
  CHECK(outcome.error == "consumer killed by SIGSEGV before it could say why");
  CHECK(outcome.evidence.exit_code == 3);
  CHECK(outcome.after == 250ms);
}

TEST_CASE("The message that ran is blamed at once, with its handler's last words",
          "[rescue_outcome]") {
  const auto crash = outcome_of(entry_in(LeaseState::running), ledger_of(Cause::consumer_crash));
  CHECK(crash.error == "consumer killed by SIGSEGV while it ran this message");
  CHECK(crash.after == 0ms);
  CHECK(crash.evidence.cause == Cause::consumer_crash);
  CHECK(crash.evidence.stderr_tail == "last\xEF\xBF\xBDwords");
}

TEST_CASE("A message is not blamed for a consumer that the fleet ended", "[rescue_outcome]") {
  const auto outcome = outcome_of(entry_in(LeaseState::running), ledger_of(Cause::none));
  CHECK(outcome.kind == Outcome::Kind::released);
  CHECK(outcome.evidence.cause == Cause::shutdown);
}
