// Children that handled or hold enough: what they say, and what the policy makes of it.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

#include "fleet/child_context.h"
#include "fleet/recycle.h"
#include "fleet/scoreboard.h"
#include "policy_fleet.h"
#include "support/catch.h"
#include "system/resident.h"

using namespace pgforeman;
using namespace pgforeman::test::policy;
using namespace std::chrono_literals;

namespace {

/// A fleet at work.
Fleet working_fleet(int concurrency) {
  Fleet fleet(concurrency);
  while (count(fleet.tick(), Action::Kind::fork) > 0) {
  }
  fleet.all_wait();
  return fleet;
}

/// The child of `slot` reaches its limit and ends, and its successor gets to work.
ExitVerdict recycle(Fleet& fleet, int slot) {
  fleet.reach_limit(slot);
  fleet.report(slot, Phase::draining, 27s);
  CHECK(fleet.tick().empty());
  const auto verdict = fleet.end(slot, exited(0));
  CHECK(count(fleet.tick(), Action::Kind::fork) == 1);
  fleet.report(slot, Phase::waiting, 1h);
  return verdict;
}

}  // namespace

TEST_CASE("A reached limit is one word, and any value in it is safe", "[recycle]") {
  using Option = ReachedLimit::Option;
  const ReachedLimit reached{Option::memory, std::int64_t{3} << 40U};
  REQUIRE(ReachedLimit::from(reached.word()));
  CHECK(ReachedLimit::from(reached.word())->option == Option::memory);
  CHECK(ReachedLimit::from(reached.word())->value == std::int64_t{3} << 40U);
  CHECK_FALSE(ReachedLimit::from(0));
  CHECK_FALSE(ReachedLimit::from(~std::uint64_t{0}));
  CHECK(ReachedLimit{Option::messages, 48}.explain() == "MAX_MESSAGES: handled 48");
  CHECK(ReachedLimit{Option::memory, 100 << 20U}.explain() == "MAX_MEMORY: 100MiB resident");
}

TEST_CASE("Slots that start together reach MAX_MESSAGES one after the other", "[recycle]") {
  struct Case {
    int max, slots, together;  // so many at most with the same limit
  };
  const Case c = GENERATE(Case{50, 8, 2}, Case{1000, 100, 2}, Case{100'000, 1024, 1},
                          Case{1'000'000'000, 1024, 1});
  INFO(c.max);
  std::map<std::int64_t, int> limits;
  for (int slot = 0; slot < c.slots; ++slot) {
    const auto limit = message_limit(c.max, slot);
    CHECK(limit <= c.max);
    CHECK(limit >= c.max - c.max / 10);
    CHECK(limit == message_limit(c.max, slot));
    CHECK(++limits[limit] <= c.together);
  }
  CHECK(message_limit(c.max, 0) == c.max);
  for (const int slot : {0, 1, 7, 1023}) {
    CHECK(message_limit(0, slot) == 0);
    CHECK(message_limit(1, slot) == 1);
  }
}

TEST_CASE("Memory is measured with all that descends from a process", "[recycle]") {
  CHECK(resident_bytes(::getpid()) > 1 << 20U);
  CHECK(resident_bytes(-1) == 0);
  constexpr std::size_t kHeld = 64 << 20U;
  std::array<int, 2> ready{};
  REQUIRE(::pipe(ready.data()) == 0);
  // A launcher, and below it the process that holds the memory.
  const pid_t launcher = ::fork();
  if (launcher == 0) {
    if (::fork() == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      std::vector<char> held(kHeld, 'x');
      const ssize_t written = ::write(ready[1], held.data() + kHeld / 2, 1);
      for (; written == 1;) ::pause();
    }
    for (;;) ::pause();
  }
  char byte = 0;
  CHECK(::read(ready[0], &byte, 1) == 1);
  const auto own = resident_bytes(launcher);
  CHECK(own > 0);
  CHECK(resident_bytes_of_tree(launcher) >= own + static_cast<std::int64_t>(kHeld));
  ::kill(launcher, SIGKILL);
  CHECK(::waitpid(launcher, nullptr, 0) == launcher);
  for (const int fd : ready) ::close(fd);
}

TEST_CASE("A child that reached a limit is replaced at once, and it was no crash", "[recycle]") {
  Fleet fleet = working_fleet(2);
  for (int n = 0; n < 6; ++n) {
    const auto verdict = recycle(fleet, 0);
    CHECK(verdict.cause == ExitCause::recycled);
    CHECK(verdict.blame == Cause::none);
    CHECK(verdict.explain == "exited with code 0: MAX_MESSAGES: handled 50");
    CHECK(verdict.restart_in == Millis{0});
    CHECK_FALSE(verdict.new_crash_loop);
    CHECK(slot(fleet, 0).boot_failures == 0);
  }
  CHECK(fleet.tick().empty());
}

TEST_CASE("A crash-loop verdict clears although the slot is recycled all the time", "[recycle]") {
  Fleet fleet(1);
  fleet.tick();
  for (int n = 0; n < 5; ++n) {
    fleet.end(0, exited(1));
    fleet.now = slot(fleet, 0).due_at();
    fleet.tick();
  }
  REQUIRE(slot(fleet, 0).crash_looping);
  fleet.all_wait();
  for (int i = 0; i < 7; ++i) {
    CHECK(slot(fleet, 0).crash_looping);
    fleet.pass(10s);
    if (!slot(fleet, 0).crash_looping) break;
    recycle(fleet, 0);
    fleet.tick();
  }
  CHECK_FALSE(slot(fleet, 0).crash_looping);
}

TEST_CASE("A recycled child's successor that does not start counts towards the crash-loop verdict",
          "[recycle]") {
  Fleet fleet = working_fleet(1);
  fleet.reach_limit(0);
  fleet.end(0, exited(0));
  fleet.tick();
  for (int n = 0; n < 5; ++n) {
    const auto verdict = fleet.end(0, exited(1));
    CHECK(verdict.cause == ExitCause::exit_code);
    CHECK(verdict.new_crash_loop == (n == 4));
    fleet.now = slot(fleet, 0).due_at();
    fleet.tick();
  }
}

TEST_CASE("A recycled child that hands back has the grace and is not blamed", "[recycle]") {
  Fleet fleet = working_fleet(1);
  fleet.reach_limit(0);
  fleet.report(0, Phase::draining, 28s);
  CHECK(count(fleet.pass(27s), Action::Kind::signal, SIGKILL) == 0);
  CHECK(count(fleet.pass(2s), Action::Kind::signal, SIGKILL) == 1);
  const auto verdict = fleet.end(0, killed(SIGKILL));
  CHECK(verdict.cause == ExitCause::shutdown);
  CHECK(verdict.blame == Cause::none);
}

TEST_CASE("Maintenance is never recycled, and a child that never worked backs off", "[recycle]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.report(kMaintenanceSlot, Phase::waiting, 1h);
  fleet.report(0, Phase::connecting, 60s);
  fleet.reach_limit(kMaintenanceSlot);
  fleet.reach_limit(1);  // garbage: it has handled nothing
  CHECK(fleet.tick().empty());
  CHECK(fleet.end(kMaintenanceSlot, exited(0)).cause == ExitCause::drained);
  CHECK(fleet.end(1, exited(0)).restart_in > Millis{0});
}

TEST_CASE("A child that gets the drain signal while it is recycled counts as drained",
          "[recycle]") {
  Fleet fleet = working_fleet(2);
  fleet.reach_limit(0);
  fleet.policy.stop(fleet.now);
  CHECK(count(fleet.tick(), Action::Kind::signal, kDrainSignal) == 2);
  CHECK(fleet.end(0, exited(0)).cause == ExitCause::drained);
  CHECK(fleet.tick().empty());
}

TEST_CASE("A reload replaces no child while another is being recycled", "[recycle]") {
  Fleet fleet = working_fleet(3);
  fleet.reach_limit(1);
  fleet.end(1, exited(0));
  fleet.policy.replace_all(options(3), fleet.now);
  const auto actions = fleet.tick();
  CHECK(count(actions, Action::Kind::fork) == 1);
  CHECK(count(actions, Action::Kind::signal, kDrainSignal) == 0);
  fleet.report(1, Phase::waiting, 1h);
  CHECK(count(fleet.tick(), Action::Kind::signal, kDrainSignal) == 1);
}

TEST_CASE("A slot removed while its child is recycled stays empty", "[recycle]") {
  Fleet fleet = working_fleet(2);
  fleet.reach_limit(1);
  fleet.policy.resize(1, fleet.now);
  CHECK(count(fleet.tick(), Action::Kind::signal, kDrainSignal) == 1);
  fleet.end(1, exited(0));
  CHECK(fleet.tick().empty());
  CHECK(recycle(fleet, 0).cause == ExitCause::recycled);
}
