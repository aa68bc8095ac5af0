// Children that die, stop or hang are replaced; nothing outlives the supervisor; every exit is
// explained.

#include <poll.h>

#include <algorithm>
#include <csignal>

#include "process/bed.h"
#include "support/prometheus_text.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

bool all_waiting(const Status& status) {
  return std::all_of(status.slots.begin(), status.slots.end(),
                     [](const SlotStatus& slot) { return slot.phase == "waiting"; });
}

/// Looks at /proc as fast as it can: seconds until the fleet has `count` children again, none of
/// them among `gone`. Negative when it does not within 5 s.
double time_until_replaced(const Fleet& fleet, std::size_t count, const std::vector<pid_t>& gone) {
  const double start = monotonic_now();
  for (double now = start; now - start < 5; now = monotonic_now()) {
    const auto children = children_of(fleet.pid());
    const bool old = std::any_of(children.begin(), children.end(), [&](pid_t pid) {
      return std::find(gone.begin(), gone.end(), pid) != gone.end();
    });
    if (children.size() == count && !old) return now - start;
  }
  return -1;
}

std::string figures_ms(const std::vector<double>& seconds) {
  const Figures all = figures(seconds);
  return "median " + std::to_string(all.median * 1000) + " ms, worst " +
         std::to_string(all.worst * 1000) + " ms";
}

/// Stops the child of `slot` in `phase`; its status then.
SlotStatus stop_in_phase(const Fleet& fleet, std::size_t slot, const std::string& phase) {
  SlotStatus stopped;
  const bool ok = eventually([&] {
    const pid_t pid = fleet.status().slots.at(slot).pid;
    if (pid == 0) return false;
    ::kill(pid, SIGSTOP);
    if (!eventually([&] { return process_state(pid).state == 'T'; }, 2s)) return false;
    stopped = fleet.status().slots.at(slot);
    if (stopped.phase == phase) return true;
    ::kill(pid, SIGCONT);
    return false;
  });
  REQUIRE(ok);
  return stopped;
}

/// Seconds from the deadline that `stopped` published until its process was replaced.
double killed_after_deadline(const Fleet& fleet, const SlotStatus& stopped) {
  const double deadline = monotonic_now() + stopped.deadline_in_seconds;
  const bool gone = eventually(
      [&] { return !alive(stopped.pid); },
      std::chrono::milliseconds(static_cast<int>(stopped.deadline_in_seconds * 1000) + 5000));
  const double late = monotonic_now() - deadline;
  REQUIRE(gone);
  REQUIRE(fleet.wait_for_status([&](const Status& status) {
    const auto& slot = status.slots.at(static_cast<std::size_t>(stopped.slot));
    return slot.pid > 0 && slot.pid != stopped.pid && slot.connected;
  }));
  return late;
}

}  // namespace

TEST_CASE("A healthy child that is killed is replaced within milliseconds", "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings());
  std::vector<double> trials;
  for (std::size_t i = 0; i < 100; ++i) {
    REQUIRE(fleet.wait_for_status(all_waiting));
    const pid_t victim = fleet.status().slots.at(i % 4).pid;
    ::kill(victim, SIGKILL);
    const double took = time_until_replaced(fleet, 5, {victim});
    REQUIRE(took >= 0);
    trials.push_back(took);
  }
  say("P1 killed child re-forked, 100 trials: " + figures_ms(trials));
  CHECK(figures(trials).median <= 0.010);
  CHECK(figures(trials).worst <= 0.100);
  CHECK(fleet.status().exits.at("signal") == 100);
  stop_cleanly(fleet);
}

TEST_CASE("A fleet whose children are all killed at once is back within a second", "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "8"}}));
  std::vector<double> trials, ready;
  for (int i = 0; i < 5; ++i) {
    REQUIRE(fleet.wait_for_status(all_waiting));
    const auto victims = children_of(fleet.pid());
    REQUIRE(victims.size() == 9);
    const double start = monotonic_now();
    for (const pid_t victim : victims) ::kill(victim, SIGKILL);
    trials.push_back(time_until_replaced(fleet, 9, victims));
    REQUIRE(trials.back() >= 0);
    REQUIRE(fleet.wait_ready());
    ready.push_back(monotonic_now() - start);
  }
  say("P1 all 8 and maintenance killed, re-forked: " + figures_ms(trials) +
      "; ready again: " + figures_ms(ready));
  CHECK(figures(trials).worst <= 1.0);
  CHECK(figures(ready).worst <= 1.0);
  stop_cleanly(fleet);
}

TEST_CASE("A message whose consumer is killed runs again at once", "[crash]") {
  Bed bed;
  bed.hold_again();
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}, {"RETRY_BACKOFF", "1ms"}}));
  std::vector<double> trials;
  bed.send(1, R"({"do": "hold"})");
  for (std::size_t i = 1; i <= 4; ++i) {
    REQUIRE(bed.wait_for_runs(i));
    REQUIRE(fleet.wait_for_status([](const Status& s) {
      return s.slots[0].phase == "running" || s.slots[1].phase == "running";
    }));
    const auto slots = fleet.status().slots;
    const auto& busy = slots[slots[0].phase == "running" ? 0 : 1];
    const double start = wall_now();
    ::kill(busy.pid, SIGKILL);
    REQUIRE(bed.wait_for_runs(i + 1));
    trials.push_back(bed.runs().back().time - start);
    CHECK_FALSE(alive(bed.runs().at(i - 1).pid));
  }
  say("P2 its message running again: " + figures_ms(trials));
  CHECK(figures(trials).median <= 0.250);
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  stop_cleanly(fleet);
}

TEST_CASE("A child stopped while it waits is killed at its deadline, siblings work on", "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings({{"POLL_INTERVAL", "200ms"}, {"CONCURRENCY", "2"}}));
  Watch watch(fleet.port());
  const SlotStatus stopped = stop_in_phase(fleet, 0, "waiting");
  CHECK(stopped.deadline_in_seconds < 3);
  // One after the other, each sent when the one before it is done: the sibling never stops.
  int handled = 0;
  while (alive(stopped.pid) && handled < 10000) {
    bed.send();
    REQUIRE(bed.wait_until_empty(2s));
    ++handled;
  }
  const auto line = fleet.wait_for_log("child killed");
  REQUIRE(line);
  CHECK((*line)["why"] == "missed its waiting deadline");
  CHECK(handled >= 3);
  REQUIRE(fleet.wait_ready());
  const auto status = fleet.status();
  CHECK(status.slots[0].last_cause == "deadline");
  CHECK(status.slots[0].pid != stopped.pid);
  CHECK(status.slots[1].epoch == 1);
  say("P3 siblings handled " + std::to_string(handled) + " messages beside a stopped child");
  CHECK(watch.finish().problems.empty());
  stop_cleanly(fleet);
}

TEST_CASE("A stopped child is killed within a second of the deadline it published", "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings({{"POLL_INTERVAL", "200ms"}, {"CONCURRENCY", "2"}}));
  std::vector<double> late;
  for (int i = 0; i < 3; ++i) {
    late.push_back(killed_after_deadline(fleet, stop_in_phase(fleet, 1, "waiting")));
  }
  say("P3 stopped in waiting, killed after its deadline: " + figures_ms(late));
  CHECK(figures(late).worst <= 1.0);
  CHECK(*std::min_element(late.begin(), late.end()) >= 0);
  stop_cleanly(fleet);
}

TEST_CASE("A child stopped while its handler runs is killed at its deadline", "[long]") {
  Bed bed;
  // The deadline: handler timeout, its kill grace of 2 s, and 20 s for the database.
  Fleet fleet(
      bed.settings({{"HANDLER_TIMEOUT", "500ms"}, {"CONCURRENCY", "2"}, {"RETRY_BACKOFF", "1ms"}}));
  Watch watch(fleet.port());
  bed.send(1, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(1));
  const auto status = fleet.status();
  const std::size_t busy = status.slots[0].phase == "running" ? 0 : 1;
  ::kill(status.slots[busy].pid, SIGSTOP);
  const auto stopped = fleet.status().slots[busy];
  REQUIRE(stopped.phase == "running");
  CHECK(stopped.deadline_in_seconds > 20);
  CHECK(stopped.deadline_in_seconds < 22.6);
  bed.send(50);
  CHECK(eventually([&] { return bed.left() == 1; }, 10s));
  const double late = killed_after_deadline(fleet, stopped);
  say("P3 stopped in running, killed after its deadline: " + figures_ms({late}));
  CHECK(late >= 0);
  CHECK(late <= 1.0);
  CHECK_FALSE(alive(bed.runs().front().pid));
  CHECK(fleet.status().slots[busy].last_cause == "deadline");
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  CHECK(watch.finish().problems.empty());
  stop_cleanly(fleet);
}

TEST_CASE("Nothing is left a second after the supervisor was killed while handlers run",
          "[crash]") {
  std::vector<double> took;
  for (const std::string mode : {"exec", "jsonl"}) {
    Bed bed;
    bed.send(4, R"({"do": "crowd"})");
    Fleet fleet(bed.settings({{"HANDLER_MODE", mode}}));
    REQUIRE(bed.wait_for_runs(4));
    // 4 handlers, each with 3 that left its group; supervisor, maintenance and 4 consumers.
    REQUIRE(eventually([&] { return fleet.processes().size() >= 22; }));
    const double start = monotonic_now();
    fleet.signal(SIGKILL);
    const bool gone = eventually([&] { return fleet.processes().empty(); }, 5s);
    took.push_back(monotonic_now() - start);
    CHECK(gone);
    // No child lived to settle anything: the messages wait for their leases to end.
    CHECK(bed.left() == 4);
  }
  say("P11 supervisor killed with 22 processes: all gone after " + figures_ms(took));
  CHECK(figures(took).worst <= 1.0);
}

TEST_CASE("Nothing is left a second after the supervisor was killed while children are stopped",
          "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings());
  for (const pid_t child : children_of(fleet.pid())) ::kill(child, SIGSTOP);
  const double start = monotonic_now();
  fleet.signal(SIGKILL);
  CHECK(eventually([&] { return fleet.processes().empty(); }, 5s));
  const double took = monotonic_now() - start;
  say("P11 supervisor killed, children stopped: all gone after " + figures_ms({took}));
  CHECK(took <= 1.0);
}

TEST_CASE("Nothing is left a second after the supervisor was killed while the fleet boots",
          "[crash]") {
  Bed bed;
  std::vector<double> took;
  for (int i = 0; i < 20; ++i) {
    Fleet fleet(bed.settings({{"CONCURRENCY", "16"}}), Fleet::Wait::nothing);
    // As soon as i children have been forked: between two forks, or while the first ones boot.
    const bool forking = eventually(
        [&] { return children_of(fleet.pid()).size() >= static_cast<std::size_t>(i % 17); });
    REQUIRE(forking);
    const double start = monotonic_now();
    fleet.signal(SIGKILL);
    CHECK(eventually([&] { return fleet.processes().empty(); }, 5s));
    took.push_back(monotonic_now() - start);
  }
  say("P11 supervisor killed while booting, 20 trials: all gone after " + figures_ms(took));
  CHECK(figures(took).worst <= 1.0);
}

TEST_CASE("Every exit is explained in the log, in the status and in a counter", "[crash]") {
  Bed bed;
  const std::string marker = bed.folder.file("exit_now");
  Fleet fleet(bed.settings({{"POLL_INTERVAL", "100ms"}}), Fleet::Wait::ready, [&](Launch& what) {
    what.environment["LD_PRELOAD"] = TEST_EXIT_FAULT_PATH;
    what.environment["EXIT_FAULT_FILE"] = marker;
    // Under the address sanitizer a preloaded library comes before its run time.
    what.environment["ASAN_OPTIONS"] = "verify_asan_link_order=0";
  });
  const auto pids = [&] {
    std::vector<pid_t> all;
    for (const auto& slot : fleet.status().slots) all.push_back(slot.pid);
    return all;
  }();
  ::kill(pids[0], SIGSEGV);
  ::kill(pids[1], SIGTERM);
  bed.folder.write("exit_now", std::to_string(pids[2]));
  ::kill(pids[3], SIGSTOP);
  REQUIRE(fleet.wait_for_status([](const Status& status) {
    return std::all_of(status.slots.begin(), status.slots.end(), [](const SlotStatus& slot) {
      return !slot.last_cause.empty() && slot.connected;
    });
  }));
  const Status status = fleet.status();
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"signal", "killed by SIGSEGV"},
      {"drained", "exited with code 0"},
      {"exit_code", "exited with code 7"},
      {"deadline", "killed by SIGKILL: missed its "}};
  const std::string metrics = fleet.metrics();
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& [cause, explain] = expected[i];
    INFO(i << " " << cause << ": " << status.slots[i].last_explain);
    CHECK(status.slots[i].last_cause == cause);
    CHECK(status.slots[i].last_explain.rfind(explain, 0) == 0);
    CHECK(status.exits.at(cause) == 1);
    CHECK(sample(metrics, "pgforeman_child_exits_total{cause=\"" + cause + "\"}") == 1);
    const auto lines = fleet.log("child ended");
    CHECK(std::count_if(lines.begin(), lines.end(), [&](const LogLine& line) {
            return line["child_pid"] == std::to_string(pids[i]) && line["cause"] == cause &&
                   line["explain"] == status.slots[i].last_explain;
          }) == 1);
  }
  stop_cleanly(fleet);
  // The drain explains each of its ends too: 4 consumers and maintenance.
  const auto lines = fleet.log("child ended");
  CHECK(std::count_if(lines.begin(), lines.end(),
                      [](const LogLine& line) { return line["cause"] == "drained"; }) == 6);
}

TEST_CASE("A child that does not end in the drain is killed, and said to be", "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings({{"SHUTDOWN_GRACE", "500ms"}, {"CONCURRENCY", "2"}}));
  ::kill(fleet.status().slots[0].pid, SIGSTOP);
  stop_cleanly(fleet, 5s);
  const auto lines = fleet.log("child ended");
  CHECK(std::count_if(lines.begin(), lines.end(), [](const LogLine& line) {
          return line["cause"] == "shutdown" &&
                 line["explain"] == "killed by SIGKILL: missed its draining deadline";
        }) == 1);
}
