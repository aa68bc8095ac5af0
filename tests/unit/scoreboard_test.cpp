// Shared memory: what is written is read, and what is hostile is bounded.
#include "fleet/scoreboard.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include <limits>

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

ClaimedMessage message(std::int64_t id, std::int64_t token) {
  ClaimedMessage m;
  m.id = id;
  m.token = Token{token};
  return m;
}

}  // namespace

TEST_CASE("A heartbeat has its phase and deadline in one word", "[scoreboard]") {
  const TimePoint deadline{123456789ms};
  const Beat beat = Beat::make(Phase::settling, deadline);
  CHECK(beat.phase() == Phase::settling);
  CHECK(beat.deadline() == deadline);
  CHECK(Beat{~std::uint64_t{0}}.phase() == Phase::empty);
}

TEST_CASE("A child is healthy once it waits, or has work at once", "[scoreboard]") {
  const Phase phase = GENERATE(Phase::connecting, Phase::claiming, Phase::waiting, Phase::running);
  Scoreboard board;
  board.slot(0).epoch.store(7);
  board.slot(0).enter(phase, Clock::now(), 1s);
  const bool healthy = phase == Phase::waiting || phase == Phase::running;
  CHECK(board.slot(0).waiting_epoch.load() == (healthy ? 7U : 0U));
}

TEST_CASE("The parent reads what a child wrote before it died", "[scoreboard]") {
  Scoreboard board;
  const pid_t pid = ::fork();
  if (pid == 0) {
    LedgerWriter ledger(board.ledger(LedgerId{3}));
    ledger.begin_claim({Token{77}});
    const std::vector<ClaimedMessage> claimed = {message(1, 77), message(2, 77), message(3, 77)};
    ledger.end_claim(claimed);
    ledger.start(0, 1000, Clock::now() + 5s);
    ledger.set_state(0, MessageState::running);
    Outcome outcome{Outcome::Kind::retry, 5s, "x", ""};
    outcome.evidence = {Cause::exit_code, 3, 0, 2048, "x"};
    ledger.add_stderr("of the first message");
    ledger.finish(0, outcome);
    ledger.set_state(0, MessageState::ended);
    ledger.start(1, 2000, Clock::now() + 5s);
    ledger.set_state(1, MessageState::running);
    ledger.set_handler(4711);
    ledger.add_stderr(std::string(5000, 'a'));
    ledger.add_stderr("the end\n");
    ::raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  sign_ledger(board.ledger(LedgerId{3}),
              {Cause::consumer_crash, -1, SIGKILL, 4096, "consumer killed by SIGKILL"});
  const LedgerReading reading = read_ledger(board.ledger(LedgerId{3}));
  REQUIRE(reading.entries.size() == 3);
  CHECK(reading.claim.token == Token::none);
  CHECK(reading.entries[0].state == MessageState::ended);
  CHECK(reading.entries[0].outcome == Outcome::Kind::retry);
  CHECK(reading.entries[0].after_ms == 5000);
  CHECK(reading.entries[1].state == MessageState::running);
  CHECK(reading.entries[2].state == MessageState::waiting);
  CHECK(reading.entries[2].lease.id == 3);
  CHECK(reading.entries[2].lease.token == Token{77});
  CHECK(reading.entries[0].started_ms == 1000);
  CHECK(reading.entries[0].evidence.cause == Cause::exit_code);
  CHECK(reading.entries[0].evidence.exit_code == 3);
  CHECK(reading.entries[0].evidence.peak_rss_kib == 2048);
  CHECK(reading.entries[1].started_ms == 2000);
  CHECK(reading.entries[2].started_ms == 0);
  CHECK(reading.death.blame == Cause::consumer_crash);
  CHECK(reading.death.signal == SIGKILL);
  CHECK(reading.death.handler_peak_rss_kib == 4096);
  CHECK(reading.death.explain == "consumer killed by SIGKILL");
  CHECK(reading.stderr_tail == std::string(1024 - 8, 'a') + "the end\n");
}

TEST_CASE("A claim in doubt leaves its token in the ledger", "[scoreboard]") {
  Scoreboard board;
  LedgerWriter ledger(board.ledger(LedgerId{0}));
  ledger.begin_claim({Token{99}});
  CHECK(read_ledger(board.ledger(LedgerId{0})).claim.token == Token{99});
  CHECK_FALSE(read_ledger(board.ledger(LedgerId{0})).empty());
  clear_ledger(board.ledger(LedgerId{0}));
  CHECK(read_ledger(board.ledger(LedgerId{0})).empty());
}

TEST_CASE("A settled message is no longer in the ledger", "[scoreboard]") {
  Scoreboard board;
  LedgerWriter ledger(board.ledger(LedgerId{0}));
  const std::vector<ClaimedMessage> claimed = {message(1, 5), message(2, 5)};
  ledger.begin_claim({Token{5}});
  ledger.end_claim(claimed);
  ledger.set_state(0, MessageState::settled);
  const auto reading = read_ledger(board.ledger(LedgerId{0}));
  REQUIRE(reading.entries.size() == 1);
  CHECK(reading.entries[0].lease.id == 2);
}

TEST_CASE("Unsettled messages stay in the ledger before those of the next claim", "[scoreboard]") {
  Scoreboard board;
  LedgerWriter ledger(board.ledger(LedgerId{0}));
  const std::vector<ClaimedMessage> claimed = {message(1, 5), message(2, 5), message(3, 5)};
  ledger.begin_claim({Token{5}});
  ledger.end_claim(claimed);
  ledger.finish(1, Outcome{Outcome::Kind::dead});
  ledger.set_state(1, MessageState::ended);
  ledger.keep(std::vector<std::size_t>{1});
  ledger.begin_claim({Token{6}});
  CHECK(read_ledger(board.ledger(LedgerId{0})).entries.size() == 1);
  ledger.end_claim(std::vector<ClaimedMessage>{message(4, 6)});
  const auto reading = read_ledger(board.ledger(LedgerId{0}));
  REQUIRE(reading.entries.size() == 2);
  CHECK(reading.entries[0].lease.id == 2);
  CHECK(reading.entries[0].state == MessageState::ended);
  CHECK(reading.entries[0].outcome == Outcome::Kind::dead);
  CHECK(reading.entries[1].lease.id == 4);
  CHECK(reading.entries[1].state == MessageState::waiting);
  ledger.keep({});
  CHECK(read_ledger(board.ledger(LedgerId{0})).entries.empty());
}

TEST_CASE("The same reason is logged once a minute by one child for all", "[scoreboard]") {
  Scoreboard board;
  const TimePoint first{59s};  // a minute by the clock begins a second later
  CHECK(board.fleet().should_log("no route to host", first));
  CHECK_FALSE(board.fleet().should_log("no route to host", first + 59s));
  CHECK(board.fleet().should_log("wrong password", first + 59s));
  CHECK(board.fleet().should_log("no route to host", first + 60s));
  CHECK_FALSE(board.fleet().should_log("no route to host", first + 61s));
}

TEST_CASE("A ledger's times are bounded for any values", "[scoreboard]") {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  Scoreboard board;
  LedgerWriter ledger(board.ledger(LedgerId{0}));
  ledger.end_claim(std::vector<ClaimedMessage>{message(1, 5), message(2, 5)});
  board.ledger(LedgerId{0}).entries[0].started_ms.store(kMost);
  board.ledger(LedgerId{0}).entries[0].after_ms.store(kMost);
  board.ledger(LedgerId{0}).entries[1].started_ms.store(-kMost);
  board.ledger(LedgerId{0}).entries[1].after_ms.store(-kMost);
  const auto entries = read_ledger(board.ledger(LedgerId{0})).entries;
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].started_ms == 253'402'300'799'999);  // the year 9999
  CHECK(entries[0].after_ms == 366LL * 24 * 3600 * 1000);
  CHECK(entries[1].started_ms == 0);
  CHECK(entries[1].after_ms == -1);
}

TEST_CASE("A ledger full of garbage gives a bounded reading", "[scoreboard]") {
  Scoreboard board;
  std::memset(static_cast<void*>(&board.ledger(LedgerId{1})), 0xff, sizeof(Ledger));
  const auto reading = read_ledger(board.ledger(LedgerId{1}));
  CHECK(reading.entries.size() <= kMaxBatch);
  CHECK(reading.death.explain.size() < 161);
  for (const char c : reading.death.explain) CHECK(c == '?');
  CHECK(reading.death.blame == Cause::none);
  CHECK(reading.stderr_tail.size() == 1024);
}

TEST_CASE("An entry with an unknown outcome is left out of a ledger's reading", "[scoreboard]") {
  Scoreboard board;
  LedgerWriter ledger(board.ledger(LedgerId{0}));
  ledger.end_claim(std::vector<ClaimedMessage>{message(1, 5), message(2, 5)});
  for (const int word : {6, 127, 128, 255}) {
    board.ledger(LedgerId{0}).entries[0].state.store(MessageState::ended);
    board.ledger(LedgerId{0}).entries[0].outcome.store(static_cast<Outcome::Kind>(word));
    const auto entries = read_ledger(board.ledger(LedgerId{0})).entries;
    REQUIRE(entries.size() == 1);
    CHECK(entries[0].lease.id == 2);
  }
}

TEST_CASE("Handler times fall into the bucket of their bound", "[scoreboard]") {
  Scoreboard board;
  board.slot(0).count_handler_time(1ms);
  board.slot(0).count_handler_time(2h);
  CHECK(board.slot(0).handler_buckets[0].load() == 1);
  CHECK(board.slot(0).handler_buckets[kHandlerBuckets - 1].load() == 1);
  CHECK(board.slot(0).handler_us_sum.load() == 7200001000);
}

TEST_CASE("Impossible times in shared memory do not overflow", "[scoreboard]") {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  CHECK(from_ms(kMost) - from_ms(-kMost) > Clock::duration::zero());
  CHECK(from_ms(kMost) - Clock::now() > std::chrono::hours(24 * 365));
  CHECK(Clock::now() - from_ms(-kMost) > std::chrono::hours(24 * 365));
  CHECK(Beat{~std::uint64_t{0}}.deadline() > Clock::now());
  CHECK(from_ms(to_ms(Clock::now())) <= Clock::now());
}
