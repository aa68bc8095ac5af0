// The supervisor's decisions, by tables and a clock that only the test moves.
#include "supervisor/policy.h"

#include <signal.h>

#include "fleet/child_context.h"
#include "fleet/scoreboard.h"
#include "policy_fleet.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test::policy;
using namespace std::chrono_literals;

TEST_CASE("Each way to end has its cause", "[policy]") {
  ChildExit core = killed(SIGSEGV);
  core.core_dumped = true;
  ChildExit memory = killed(SIGKILL);
  memory.out_of_memory = true;
  const std::vector<std::pair<ChildExit, std::string>> cases = {
      {exited(0), "drained"},      {exited(3), "exit_code"}, {killed(SIGSEGV), "signal"},
      {killed(SIGKILL), "signal"}, {core, "core"},           {memory, "out_of_memory"}};
  for (const auto& [exit, cause] : cases) {
    Fleet fleet(1);
    fleet.tick();
    const ExitVerdict verdict = fleet.policy.on_exit(0, exit, {}, fleet.now);
    CHECK(to_string(verdict.cause) == cause);
    CHECK(verdict.explain == exit.explain());
  }
}

TEST_CASE("A start forks every consumer and maintenance once", "[policy]") {
  Fleet fleet(3);
  CHECK(count(fleet.tick(), Action::Kind::fork) == 4);
  CHECK(fleet.tick().empty());
}

TEST_CASE("A large fleet is forked in portions, maintenance first", "[policy]") {
  Fleet fleet(100);
  const auto first = fleet.tick();
  REQUIRE(count(first, Action::Kind::fork) == 16);
  CHECK(first[0].slot == kMaintenanceSlot);
  CHECK(fleet.policy.next_tick(fleet.now) == fleet.now);
  int forked = 16;
  for (int i = 0; i < 6; ++i) forked += count(fleet.tick(), Action::Kind::fork);
  CHECK(forked == 101);
  CHECK(fleet.policy.next_tick(fleet.now) == fleet.now + Policy::kTick);
}

TEST_CASE("A child that had reached waiting is re-forked without a delay", "[policy]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.all_wait();
  for (int i = 0; i < 100; ++i) {
    const auto verdict = fleet.end(0, killed(SIGKILL));
    CHECK(verdict.cause == ExitCause::signal);
    REQUIRE(verdict.restart_in == Millis{0});
    CHECK(count(fleet.tick(), Action::Kind::fork) == 1);
    fleet.all_wait();
  }
  CHECK_FALSE(slot(fleet, 0).crash_looping);
}

TEST_CASE("A child that ends before waiting comes back after min(base * 2^n, cap) +-20 %",
          "[policy]") {
  Fleet fleet(1);
  fleet.tick();
  for (int n = 0; n < 12; ++n) {
    const auto verdict = fleet.end(0, exited(1));
    const double expected = std::min(100.0 * (1 << n), 30000.0);
    CHECK(static_cast<double>(verdict.restart_in->count()) >= 0.79 * expected);
    CHECK(static_cast<double>(verdict.restart_in->count()) <= 1.21 * expected);
    CHECK(count(fleet.tick(), Action::Kind::fork) == 0);
    fleet.now += *verdict.restart_in;
    CHECK(count(fleet.tick(), Action::Kind::fork) == 1);
  }
}

TEST_CASE("The crash-loop verdict comes after the count within the window and not without",
          "[policy]") {
  Fleet fleet(1);
  fleet.tick();
  for (int n = 0; n < 5; ++n) {
    CHECK_FALSE(slot(fleet, 0).crash_looping);
    const auto verdict = fleet.end(0, exited(1));
    CHECK(verdict.new_crash_loop == (n == 4));
    fleet.now = slot(fleet, 0).due_at();
    fleet.tick();
  }
  CHECK(slot(fleet, 0).crash_looping);
  CHECK(fleet.policy.not_live_reason(fleet.now) == "every slot is crash-looping");

  Fleet slow(1);
  slow.tick();
  for (int n = 0; n < 10; ++n) {
    slow.end(0, exited(1));
    slow.now = std::max(slot(slow, 0).due_at(), slow.now + 20s);
    slow.tick();
  }
  CHECK_FALSE(slot(slow, 0).crash_looping);
}

TEST_CASE("The verdict clears after 60 s of health while the child is alive", "[policy]") {
  Fleet fleet(1);
  fleet.tick();
  for (int n = 0; n < 5; ++n) {
    fleet.end(0, exited(1));
    fleet.now = slot(fleet, 0).due_at();
    fleet.tick();
  }
  REQUIRE(slot(fleet, 0).crash_looping);
  fleet.all_wait();
  fleet.pass(59s);
  CHECK(slot(fleet, 0).crash_looping);
  fleet.pass(1200ms);
  CHECK_FALSE(slot(fleet, 0).crash_looping);
  CHECK(fleet.policy.not_live_reason(fleet.now).empty());
}

TEST_CASE("One healthy slot keeps the fleet live", "[policy]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.all_wait();
  for (int n = 0; n < 3; ++n) fleet.tick();
  fleet.end(0, killed(SIGSEGV));
  fleet.tick();
  for (int n = 0; n < 8; ++n) {
    fleet.end(0, exited(1));
    fleet.now = slot(fleet, 0).due_at();
    fleet.report(1, Phase::waiting, 1h);
    fleet.tick();
  }
  CHECK(slot(fleet, 0).crash_looping);
  CHECK(fleet.policy.not_live_reason(fleet.now).empty());
}

TEST_CASE("A child that hangs while booting dies at the boot deadline", "[policy]") {
  Fleet fleet(1);
  fleet.tick();
  fleet.report(kMaintenanceSlot, Phase::waiting, 1h);
  CHECK(count(fleet.pass(30s), Action::Kind::signal, SIGKILL) == 0);
  const auto actions = fleet.pass(400ms);
  REQUIRE(count(actions, Action::Kind::signal, SIGKILL) == 1);
  CHECK(actions.back().why == "missed its booting deadline");
}

TEST_CASE("A child past its phase's deadline is killed once, the others are not", "[policy]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.all_wait();
  fleet.report(0, Phase::running, 5s);
  CHECK(count(fleet.pass(5s), Action::Kind::signal, SIGKILL) == 0);
  const auto actions = fleet.pass(2s);
  REQUIRE(actions.size() == 1);
  CHECK(actions[0].slot == 0);
  CHECK(actions[0].why == "missed its running deadline");
  const auto verdict = fleet.end(0, killed(SIGKILL));
  CHECK(verdict.cause == ExitCause::deadline);
  CHECK(verdict.blame == Cause::consumer_deadline);
  CHECK(verdict.restart_in == Millis{0});
}

TEST_CASE("A deadline in the far future is clamped to what the phase may take", "[policy]") {
  Fleet fleet(1);
  fleet.tick();
  fleet.all_wait();
  fleet.report(kMaintenanceSlot, Phase::waiting, 1h);
  fleet.report(0, Phase::claiming, 1000h);
  int kills = 0;
  for (int i = 0; i < 30; ++i) {
    fleet.report(kMaintenanceSlot, Phase::waiting, 1h);
    kills += count(fleet.pass(1s), Action::Kind::signal, SIGKILL);
  }
  CHECK(kills == 1);
}

TEST_CASE("A phase that does not exist counts as no report", "[policy]") {
  Fleet fleet(1);
  fleet.tick();
  fleet.all_wait();
  fleet.seen[0].beat.word = ~std::uint64_t{0};
  int kills = 0;
  for (int i = 0; i < 40; ++i) {
    fleet.report(kMaintenanceSlot, Phase::waiting, 1h);
    kills += count(fleet.pass(1s), Action::Kind::signal, SIGKILL);
  }
  CHECK(kills == 1);
}

TEST_CASE("After a pause of the whole fleet no child is killed before it could report",
          "[policy]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.report(kMaintenanceSlot, Phase::waiting, 3s);
  fleet.report(0, Phase::waiting, 3s);
  fleet.report(1, Phase::waiting, 3s);
  fleet.silent = {0, 1, kMaintenanceSlot};
  fleet.tick();
  fleet.now += 10min;
  CHECK(count(fleet.tick(), Action::Kind::signal, SIGKILL) == 0);
  CHECK(count(fleet.pass(1800ms), Action::Kind::signal, SIGKILL) == 0);
  fleet.silent = {1};
  fleet.report(0, Phase::waiting, 1h);
  fleet.report(kMaintenanceSlot, Phase::waiting, 1h);
  const auto actions = fleet.pass(600ms);
  REQUIRE(actions.size() == 1);
  CHECK(actions[0].slot == 1);
}

TEST_CASE("A kill while connecting is no step towards the crash-loop verdict", "[policy]") {
  Fleet fleet(1);
  fleet.tick();
  for (int i = 0; i < 10; ++i) {
    fleet.report(0, Phase::connecting, 20s);
    fleet.tick();
    const auto verdict = fleet.end(0, killed(SIGKILL));
    CHECK_FALSE(verdict.new_crash_loop);
    fleet.now = slot(fleet, 0).due_at();
    fleet.tick();
  }
  CHECK_FALSE(slot(fleet, 0).crash_looping);
}

TEST_CASE("A drain signals every consumer at once and maintenance after the last of them",
          "[policy]") {
  Fleet fleet(3);
  fleet.tick();
  fleet.all_wait();
  fleet.policy.stop(fleet.now);
  const auto told = fleet.tick();
  CHECK(count(told, Action::Kind::signal, kDrainSignal) == 3);
  fleet.end(0, exited(0));
  fleet.end(1, exited(0));
  CHECK(fleet.tick().empty());
  fleet.end(2, exited(0));
  const auto last = fleet.tick();
  REQUIRE(count(last, Action::Kind::signal, kDrainSignal) == 1);
  CHECK(last[0].slot == kMaintenanceSlot);
  fleet.end(kMaintenanceSlot, exited(0));
  CHECK(count(fleet.tick(), Action::Kind::finished) == 1);
}

TEST_CASE("A second TERM changes nothing, and nothing is forked once stopping", "[policy]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.all_wait();
  fleet.policy.stop(fleet.now);
  fleet.tick();
  fleet.now += 1s;
  fleet.policy.stop(fleet.now);
  CHECK(fleet.tick().empty());
  fleet.end(0, killed(SIGSEGV));
  CHECK(count(fleet.pass(10s), Action::Kind::fork) == 0);
}

TEST_CASE("Maintenance that dies in a drain comes back while there may be something to hand back",
          "[policy]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.all_wait();
  fleet.policy.stop(fleet.now);
  fleet.tick();
  fleet.end(kMaintenanceSlot, killed(SIGKILL));
  CHECK(count(fleet.pass(1s), Action::Kind::fork) == 1);
  fleet.report(kMaintenanceSlot, Phase::waiting, 1h);
  fleet.unrescued = true;  // of the consumers that end now
  fleet.end(0, killed(SIGSEGV));
  fleet.end(1, killed(SIGSEGV));
  CHECK(count(fleet.tick(), Action::Kind::signal, kDrainSignal) == 1);
  fleet.end(kMaintenanceSlot, killed(SIGSEGV));
  CHECK(count(fleet.pass(1s), Action::Kind::fork) == 1);
  fleet.end(kMaintenanceSlot, exited(0));  // did what it could
  CHECK(count(fleet.tick(), Action::Kind::finished) == 1);
}

TEST_CASE("Nothing is forked for what is left when a drain's grace is over", "[policy]") {
  Fleet fleet(1);
  fleet.tick();
  fleet.all_wait();
  fleet.policy.stop(fleet.now);
  fleet.tick();
  fleet.unrescued = true;
  fleet.end(0, exited(0));
  fleet.tick();
  fleet.policy.hurry(fleet.now);
  fleet.end(kMaintenanceSlot, killed(SIGKILL));
  const auto last = fleet.tick();
  CHECK(count(last, Action::Kind::fork) == 0);
  CHECK(count(last, Action::Kind::finished) == 1);
}

TEST_CASE("A child that does not drain within the grace is killed, and its message not blamed",
          "[policy]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.all_wait();
  fleet.policy.stop(fleet.now);
  fleet.tick();
  fleet.end(1, exited(0));
  // 25 s, 2 s for its handler, and the slack.
  CHECK(count(fleet.pass(27s), Action::Kind::signal, SIGKILL) == 0);
  CHECK(count(fleet.pass(1s), Action::Kind::signal, SIGKILL) == 1);
  const auto verdict = fleet.end(0, killed(SIGKILL));
  CHECK(verdict.cause == ExitCause::shutdown);
  CHECK(verdict.blame == Cause::none);
}

TEST_CASE("A child that hangs when a drain begins gets no more time for it", "[policy]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.all_wait();
  fleet.silent = {0, kMaintenanceSlot};
  fleet.pass(3s);
  fleet.policy.stop(fleet.now);
  fleet.tick();
  fleet.end(1, exited(0));
  // Of the 4 s that a child may wait 1 is left.
  CHECK(count(fleet.pass(900ms), Action::Kind::signal, SIGKILL) == 0);
  CHECK(count(fleet.pass(300ms), Action::Kind::signal, SIGKILL) == 2);
  const auto verdict = fleet.end(0, killed(SIGKILL));
  CHECK(verdict.cause == ExitCause::deadline);
  CHECK(verdict.blame == Cause::consumer_deadline);
  CHECK(verdict.explain == "killed by SIGKILL: missed its waiting deadline");
}

TEST_CASE("A message is blamed if its child missed its own deadline, not the drain's", "[policy]") {
  struct Case {
    Phase phase;
    Millis deadline;
    bool told;
    Cause blame;
  };
  for (const auto& [phase, deadline, told, blame] :
       {Case{Phase::running, 5s, true, Cause::consumer_deadline},
        Case{Phase::running, 60s, true, Cause::none},
        // What a child says that got no drain signal.
        Case{Phase::draining, 5s, false, Cause::consumer_deadline}}) {
    Fleet fleet(1);
    fleet.tick();
    fleet.all_wait();
    fleet.report(0, phase, deadline);
    fleet.tick();
    if (told) fleet.policy.stop(fleet.now);
    CHECK(count(fleet.pass(28s), Action::Kind::signal, SIGKILL) == 1);
    CHECK(fleet.end(0, killed(SIGKILL)).blame == blame);
  }
}

TEST_CASE("An interrupt in a hurry asks every consumer to end its handler now", "[policy]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.all_wait();
  fleet.policy.stop(fleet.now);
  fleet.tick();
  fleet.policy.hurry(fleet.now);
  CHECK(count(fleet.tick(), Action::Kind::signal, kHurrySignal) == 2);
  CHECK(count(fleet.pass(1s), Action::Kind::signal, SIGKILL) == 2);
}

TEST_CASE("A fork that fails is retried with backoff, and given up after the boot timeout",
          "[policy]") {
  Fleet fleet(1);
  fleet.fork_works = false;
  const auto actions = fleet.pass(29s);
  const int tries = count(actions, Action::Kind::fork);
  CHECK(tries > 6);
  CHECK(tries < 60);
  CHECK_FALSE(fleet.policy.gave_up());
  const auto last = fleet.pass(1500ms);
  CHECK(count(last, Action::Kind::give_up) == 1);
  CHECK(fleet.policy.gave_up());
  CHECK(count(last, Action::Kind::finished) > 0);
}

TEST_CASE("A fork that fails later does not end the fleet", "[policy]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.all_wait();
  fleet.fork_works = false;
  fleet.end(0, killed(SIGKILL));
  for (int i = 0; i < 60; ++i) {
    fleet.report(1, Phase::waiting, 1h);
    fleet.report(kMaintenanceSlot, Phase::waiting, 1h);
    fleet.pass(1s);
  }
  CHECK_FALSE(fleet.policy.gave_up());
  fleet.fork_works = true;
  CHECK(count(fleet.pass(37s), Action::Kind::fork) >= 1);
}

TEST_CASE("Shrinking drains the last slot; growing brings it back after it has ended", "[policy]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.all_wait();
  CHECK(fleet.policy.resize(1, fleet.now) == 1);
  const auto actions = fleet.tick();
  REQUIRE(actions.size() == 1);
  CHECK(actions[0].signal == kDrainSignal);
  CHECK(actions[0].slot == 1);
  CHECK(fleet.policy.resize(2, fleet.now) == 2);
  CHECK(count(fleet.tick(), Action::Kind::fork) == 0);
  fleet.end(1, exited(0));
  CHECK(count(fleet.tick(), Action::Kind::fork) == 1);
  CHECK(fleet.policy.resize(0, fleet.now) == 1);
  CHECK(fleet.policy.resize(5000, fleet.now) == kMaxConsumers);
}

TEST_CASE("A reload keeps each child's deadlines as it was forked with", "[policy]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.all_wait();
  const auto run = [&](int index) { fleet.report(index, Phase::running, 82s); };
  run(0);
  run(1);
  fleet.pass(50s);
  Options shorter = options(2);
  shorter.handler_timeout = 1s;
  shorter.shutdown_grace = 1s;
  fleet.policy.replace_all(shorter, fleet.now);
  const auto at_once = fleet.tick();
  CHECK(count(at_once, Action::Kind::signal, kDrainSignal) == 1);
  CHECK(count(at_once, Action::Kind::signal, SIGKILL) == 0);
  CHECK(count(fleet.pass(20s), Action::Kind::signal, SIGKILL) == 0);
  // The newer ones are, and so is the end of the fleet.
  fleet.end(0, exited(0));
  fleet.tick();
  fleet.all_wait();
  fleet.report(0, Phase::running, 82s);
  fleet.tick();
  fleet.report(1, Phase::draining, 25s);
  const auto newer = fleet.pass(24s);
  REQUIRE(count(newer, Action::Kind::signal, SIGKILL) == 1);
  fleet.end(0, killed(SIGKILL));
  fleet.policy.stop(fleet.now);
  const auto at_the_end = fleet.pass(4s);
  CHECK(count(at_the_end, Action::Kind::signal, SIGKILL) >= 1);
}

TEST_CASE("A reload replaces the children one by one, each after the last is back at work",
          "[policy]") {
  Fleet fleet(3);
  fleet.tick();
  fleet.all_wait();
  fleet.policy.replace_all(options(3), fleet.now);
  std::vector<int> replaced;
  for (int i = 0; i < 4; ++i) {
    const auto told = fleet.tick();
    REQUIRE(count(told, Action::Kind::signal, kDrainSignal) == 1);
    CHECK(fleet.tick().empty());
    const int index = told[0].slot;
    replaced.push_back(index);
    fleet.end(index, exited(0));
    CHECK(count(fleet.tick(), Action::Kind::fork) == 1);
    CHECK(fleet.tick().empty());
    fleet.report(index, Phase::waiting, 1h);
  }
  CHECK(fleet.tick().empty());
  CHECK(replaced == std::vector<int>{0, 1, 2, kMaintenanceSlot});
}
