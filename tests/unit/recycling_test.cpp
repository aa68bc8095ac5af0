// Children that handled or hold enough: what they say, and when the policy lets them go.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/resident.h"
#include "policy_fleet.h"
#include "scoreboard/child_context.h"
#include "scoreboard/recycle.h"
#include "scoreboard/scoreboard.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test::policy;
using namespace std::chrono_literals;

namespace {

std::vector<int> told(const std::vector<Action>& actions, int signal) {
  std::vector<int> slots;
  for (const auto& action : actions) {
    if (action.kind == Action::Kind::signal && action.signal == signal) {
      slots.push_back(action.slot);
    }
  }
  return slots;
}

std::vector<int> recycled(const std::vector<Action>& actions) {
  return told(actions, kRecycleSignal);
}

/// A fleet at work whose first `wishes` children all reached a limit.
Fleet at_limit(int concurrency, int wishes) {
  Fleet fleet(concurrency);
  while (count(fleet.tick(), Action::Kind::fork) > 0) {
  }
  fleet.all_wait();
  for (int i = 0; i < wishes; ++i) fleet.wish(i);
  return fleet;
}

/// The child of `slot` ends as it was told, and its successor gets to work.
ExitVerdict replace(Fleet& fleet, int slot) {
  const auto verdict = fleet.end(slot, exited(0));
  CHECK(count(fleet.tick(), Action::Kind::fork) == 1);
  fleet.report(slot, Phase::waiting, 1h);
  return verdict;
}

}  // namespace

TEST_CASE("A wish is one word that anything may stand in", "[recycle]") {
  const RecycleWish wish{RecycleReason::memory, std::int64_t{3} << 40U};
  REQUIRE(RecycleWish::from(wish.word()));
  CHECK(RecycleWish::from(wish.word())->reason == RecycleReason::memory);
  CHECK(RecycleWish::from(wish.word())->value == std::int64_t{3} << 40U);
  CHECK_FALSE(RecycleWish::from(0));
  CHECK_FALSE(RecycleWish::from(~std::uint64_t{0}));
  CHECK(RecycleWish{RecycleReason::messages, 48}.explain() == "MAX_MESSAGES: handled 48");
  CHECK(RecycleWish{RecycleReason::memory, 100 << 20U}.explain() == "MAX_MEMORY: 100MiB resident");
}

TEST_CASE("Slots that start together reach their message limits one after the other", "[recycle]") {
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

TEST_CASE("A child that reached a limit is replaced, and it was no crash", "[recycle]") {
  Fleet fleet = at_limit(2, 1);
  CHECK(recycled(fleet.tick()) == std::vector<int>{0});
  CHECK(fleet.tick().empty());  // told once
  const auto verdict = replace(fleet, 0);
  CHECK(verdict.cause == ExitCause::recycled);
  CHECK(verdict.blame == Cause::none);
  CHECK(verdict.explain == "exited with code 0: MAX_MESSAGES: handled 50");
  CHECK(verdict.restart_in == Millis{0});
  CHECK_FALSE(verdict.new_crash_loop);
  CHECK(slot(fleet, 0).boot_failures == 0);
  CHECK(fleet.tick().empty());  // the successor has no wish
}

TEST_CASE("At most a tenth of the fleet, and at least one child, is being recycled at a time",
          "[recycle]") {
  struct Case {
    int concurrency, most;
  };
  const Case c = GENERATE(Case{1, 1}, Case{8, 1}, Case{19, 1}, Case{20, 2}, Case{100, 10});
  INFO(c.concurrency);
  Fleet fleet = at_limit(c.concurrency, c.concurrency);
  std::set<int> away;
  std::set<int> done;
  while (done.size() < static_cast<std::size_t>(c.concurrency)) {
    for (const int slot : recycled(fleet.tick())) away.insert(slot);
    REQUIRE(away.size() ==
            std::min<std::size_t>(static_cast<std::size_t>(c.most),
                                  static_cast<std::size_t>(c.concurrency) - done.size()));
    const int first = *away.begin();
    fleet.end(first, exited(0));
    CHECK(recycled(fleet.tick()).empty());  // the successor was forked just now
    fleet.report(first, Phase::booting, 30s);
    CHECK(recycled(fleet.tick()).empty());
    fleet.report(first, Phase::connecting, 60s);
    CHECK(recycled(fleet.tick()).empty());  // an outage is no time to let others go
    fleet.report(first, Phase::waiting, 1h);
    away.erase(first);
    CHECK(done.insert(first).second);
  }
  CHECK(fleet.tick().empty());
}

TEST_CASE("Who reached its limit first goes first", "[recycle]") {
  Fleet fleet = at_limit(4, 0);
  std::vector<int> order;
  for (const int index : {2, 3, 1}) {
    fleet.wish(index);
    for (const int slot : recycled(fleet.tick())) order.push_back(slot);
    fleet.now += 100ms;
  }
  fleet.wish(0);
  fleet.tick();
  for (int i = 0; i < 6; ++i) {
    fleet.now += 100ms;
    replace(fleet, order.back());
    // It reaches its next limit at once: the others come before.
    fleet.wish(order.back());
    const auto next = recycled(fleet.tick());
    REQUIRE(next.size() == 1);
    order.push_back(next[0]);
  }
  CHECK(order == std::vector<int>{2, 3, 1, 0, 2, 3, 1});
}

TEST_CASE("Nobody is recycled while another slot is empty or its child boots", "[recycle]") {
  Fleet fleet = at_limit(4, 0);
  fleet.end(3, killed(SIGSEGV));
  fleet.wish(0);
  CHECK(recycled(fleet.tick()).empty());  // slot 3 was due, and is forked now
  CHECK(recycled(fleet.tick()).empty());
  // One that gets no session (all of the server's are taken, say) must not stop it for ever.
  fleet.report(3, Phase::connecting, 60s);
  CHECK(recycled(fleet.tick()) == std::vector<int>{0});
}

TEST_CASE("A slot that is crash-looping does not keep the others from being recycled",
          "[recycle]") {
  Fleet fleet = at_limit(2, 0);
  fleet.end(1, killed(SIGSEGV));
  fleet.tick();
  for (int n = 0; n < 5; ++n) {
    fleet.end(1, exited(1));
    fleet.now = slot(fleet, 1).due_at;
    fleet.report(0, Phase::waiting, 1h);
    fleet.tick();
  }
  REQUIRE(slot(fleet, 1).crash_looping);
  fleet.wish(0);
  CHECK(recycled(fleet.tick()) == std::vector<int>{0});
}

TEST_CASE("A crash-loop verdict clears although the slot is recycled all the time", "[recycle]") {
  Fleet fleet(1);
  fleet.tick();
  for (int n = 0; n < 5; ++n) {
    fleet.end(0, exited(1));
    fleet.now = slot(fleet, 0).due_at;
    fleet.tick();
  }
  REQUIRE(slot(fleet, 0).crash_looping);
  fleet.all_wait();
  for (int i = 0; i < 7; ++i) {
    CHECK(slot(fleet, 0).crash_looping);
    fleet.pass(10s);
    if (!slot(fleet, 0).crash_looping) break;
    fleet.wish(0);
    REQUIRE(recycled(fleet.tick()).size() == 1);
    replace(fleet, 0);
    fleet.tick();
  }
  CHECK_FALSE(slot(fleet, 0).crash_looping);
}

TEST_CASE("A successor that does not start counts towards the crash-loop verdict", "[recycle]") {
  Fleet fleet = at_limit(1, 1);
  fleet.tick();
  fleet.end(0, exited(0));
  fleet.tick();
  for (int n = 0; n < 5; ++n) {
    const auto verdict = fleet.end(0, exited(1));
    CHECK(verdict.cause == ExitCause::exit_code);
    CHECK(verdict.new_crash_loop == (n == 4));
    fleet.now = slot(fleet, 0).due_at;
    fleet.tick();
  }
}

TEST_CASE("A recycled child may finish its message after the grace, but not after its deadline",
          "[recycle]") {
  Fleet fleet = at_limit(1, 1);
  fleet.report(kMaintenanceSlot, Phase::waiting, 10h);
  fleet.report(0, Phase::running, 82s);
  CHECK(recycled(fleet.tick()).size() == 1);
  const auto before = fleet.pass(81s);
  CHECK(count(before, Action::Kind::signal, SIGKILL) == 0);
  const auto after = fleet.pass(2s);
  REQUIRE(count(after, Action::Kind::signal, SIGKILL) == 1);
  CHECK(after.back().why == "missed its running deadline");
  const auto verdict = fleet.end(0, killed(SIGKILL));
  CHECK(verdict.cause == ExitCause::deadline);
  CHECK(verdict.blame == Cause::consumer_deadline);
}

TEST_CASE("A recycled child that hands back has the grace and is not blamed", "[recycle]") {
  Fleet fleet = at_limit(1, 1);
  fleet.tick();
  fleet.report(0, Phase::draining, 28s);
  CHECK(count(fleet.pass(27s), Action::Kind::signal, SIGKILL) == 0);
  CHECK(count(fleet.pass(2s), Action::Kind::signal, SIGKILL) == 1);
  const auto verdict = fleet.end(0, killed(SIGKILL));
  CHECK(verdict.cause == ExitCause::shutdown);
  CHECK(verdict.blame == Cause::none);
}

TEST_CASE("A recycled child that goes on for ever is killed", "[recycle]") {
  Fleet fleet = at_limit(1, 1);
  fleet.tick();
  int kills = 0;
  for (int i = 0; i < 200; ++i) {
    fleet.report(0, Phase::running, 82s);
    kills += count(fleet.pass(1s), Action::Kind::signal, SIGKILL);
  }
  CHECK(kills == 1);
}

TEST_CASE("Maintenance is never recycled, nor a child that has not been at work", "[recycle]") {
  Fleet fleet(2);
  fleet.tick();
  fleet.report(kMaintenanceSlot, Phase::waiting, 1h);
  fleet.report(0, Phase::connecting, 60s);
  fleet.report(1, Phase::waiting, 1h);
  fleet.wish(kMaintenanceSlot);
  fleet.wish(0);
  CHECK(fleet.tick().empty());
}

TEST_CASE("A fleet that stops recycles nobody, and gives whom it recycles the grace of all",
          "[recycle]") {
  Fleet fleet = at_limit(2, 2);
  fleet.report(0, Phase::running, 82s);
  fleet.report(1, Phase::running, 82s);
  REQUIRE(recycled(fleet.tick()) == std::vector<int>{0});
  fleet.now += 10s;
  fleet.policy.stop(fleet.now);
  const auto actions = fleet.tick();
  CHECK(recycled(actions).empty());
  CHECK(told(actions, kDrainSignal) == std::vector<int>{0, 1});
  CHECK(count(fleet.pass(27s), Action::Kind::signal, SIGKILL) == 0);
  CHECK(fleet.end(1, exited(0)).cause == ExitCause::drained);
  CHECK(count(fleet.pass(1s), Action::Kind::signal, SIGKILL) == 1);
  const auto verdict = fleet.end(0, killed(SIGKILL));
  CHECK(verdict.cause == ExitCause::shutdown);
  CHECK(verdict.blame == Cause::none);
}

TEST_CASE("A reload comes before recycling, and does not wait for whom it finds leaving",
          "[recycle]") {
  Fleet fleet = at_limit(3, 2);
  fleet.report(0, Phase::running, 82s);
  REQUIRE(recycled(fleet.tick()) == std::vector<int>{0});
  fleet.policy.replace_all(PolicySettings(options(3)), fleet.now);
  CHECK(told(fleet.tick(), kDrainSignal) == std::vector<int>{0});
  CHECK(fleet.tick().empty());
  CHECK(replace(fleet, 0).cause == ExitCause::drained);
  for (const int index : {1, 2}) {
    fleet.wish(0);  // a new child that is at its limit already
    const auto actions = fleet.tick();
    CHECK(recycled(actions).empty());
    CHECK(told(actions, kDrainSignal) == std::vector<int>{index});
    replace(fleet, index);
  }
  CHECK(told(fleet.tick(), kDrainSignal) == std::vector<int>{kMaintenanceSlot});
  fleet.end(kMaintenanceSlot, exited(0));
  CHECK(recycled(fleet.tick()) == std::vector<int>{0});
}

TEST_CASE("A slot that is given up while its child is recycled stays empty", "[recycle]") {
  Fleet fleet = at_limit(2, 0);
  fleet.wish(1);
  REQUIRE(recycled(fleet.tick()) == std::vector<int>{1});
  fleet.policy.resize(1, fleet.now);
  CHECK(told(fleet.tick(), kDrainSignal) == std::vector<int>{1});
  fleet.end(1, exited(0));
  CHECK(fleet.tick().empty());
  fleet.wish(0);
  CHECK(recycled(fleet.tick()) == std::vector<int>{0});
}

TEST_CASE("The successor of a recycled child is looked at more often, for a while", "[recycle]") {
  Fleet fleet = at_limit(1, 1);
  fleet.tick();
  fleet.end(0, exited(0));
  fleet.tick();
  CHECK(fleet.policy.next_tick(fleet.now) < fleet.now + Policy::kTick);
  fleet.report(0, Phase::connecting, 60s);
  fleet.pass(5s);
  CHECK(fleet.policy.next_tick(fleet.now) == fleet.now + Policy::kTick);
}
