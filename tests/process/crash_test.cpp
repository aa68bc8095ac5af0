// Children that die, stop or hang are replaced; nothing outlives the supervisor; every exit is
// explained.

#include <poll.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <iterator>

#include "process/bed.h"
#include "support/prometheus_text.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

long count_entries(const std::string& folder) {
  const std::filesystem::directory_iterator all(folder);
  return std::distance(begin(all), end(all));
}

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

/// A stopped child, and when its deadline is on monotonic_now().
struct Stopped {
  SlotStatus child;
  double deadline = 0;
};

Stopped status_of(const Fleet& fleet, std::size_t slot) {
  const double asked = monotonic_now();
  const auto child = fleet.status().slots.at(slot);
  return {child, asked + child.deadline_in_seconds};
}

/// Stops the child of `slot` in `phase`.
Stopped stop_in_phase(const Fleet& fleet, std::size_t slot, const std::string& phase) {
  Stopped stopped;
  const bool ok = eventually([&] {
    const pid_t pid = fleet.status().slots.at(slot).pid;
    if (pid == 0) return false;
    ::kill(pid, SIGSTOP);
    if (!eventually([&] { return process_state(pid).state == 'T'; }, 2s)) return false;
    stopped = status_of(fleet, slot);
    if (stopped.child.phase == phase) return true;
    ::kill(pid, SIGCONT);
    return false;
  });
  REQUIRE(ok);
  return stopped;
}

/// Seconds from its deadline until it was dead; it is replaced then.
double killed_after_deadline(const Fleet& fleet, const Stopped& stopped) {
  REQUIRE(eventually([&] { return !alive(stopped.child.pid); }, 30s));
  const double late = monotonic_now() - stopped.deadline;
  REQUIRE(fleet.wait_for_status([&](const Status& status) {
    const auto& slot = status.slots.at(static_cast<std::size_t>(stopped.child.slot));
    return slot.pid > 0 && slot.pid != stopped.child.pid && slot.connected;
  }));
  return late;
}

}  // namespace

TEST_CASE("A healthy child that is killed is replaced within milliseconds", "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings());
  const auto descriptors = count_entries("/proc/" + std::to_string(fleet.pid()) + "/fd");
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
  CHECK(count_entries("/proc/" + std::to_string(fleet.pid()) + "/fd") == descriptors);
  for (const pid_t child : children_of(fleet.pid())) CHECK(alive(child));  // no zombie
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

TEST_CASE("A consumer killed in its batch costs an attempt only to the message that ran",
          "[crash]") {
  Bed bed;
  bed.send(3);
  bed.send(1, R"({"do": "hold"})");
  bed.send(6);
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"BATCH", "10"}, {"RETRY_BACKOFF", "1ms"}}));
  REQUIRE(bed.wait_for_runs(4));
  ::kill(fleet.status().slots[0].pid, SIGKILL);
  bed.go();
  REQUIRE(bed.wait_until_empty(10s));
  const auto runs = bed.runs();
  CHECK(runs.size() == 11);
  CHECK(distinct(runs) == 10);
  const auto victim = runs[3].id;
  std::int64_t last_fence = 0;
  for (const auto& run : runs) {
    if (run.id == victim) CHECK(run.fence > last_fence);
    if (run.id == victim) last_fence = run.fence;
    CHECK(run.attempt == (run.id == victim && run.fence > 1 ? 2 : 1));
  }
  stop_cleanly(fleet);
}

TEST_CASE("A message that kills its consumer becomes a dead letter, and the fleet works on",
          "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings({{"MAX_ATTEMPTS", "4"}, {"RETRY_BACKOFF", "1ms"}}));
  Watch watch(fleet.port());
  bed.send(1, R"({"do": "murder"})");
  bed.send(20);
  REQUIRE(eventually([&] { return bed.left() == 0 && bed.dead() == 1; }, 15s));
  const auto error = bed.sql.query("select error from pgforeman.dead_message");
  INFO(error);
  CHECK(error.find("SIGKILL") != std::string::npos);
  CHECK(bed.runs().size() == 24);
  REQUIRE(fleet.wait_ready());
  const auto status = fleet.status();
  CHECK(status.exits == std::map<std::string, std::int64_t>{{"signal", 4}});
  for (const auto& slot : status.slots) CHECK_FALSE(slot.crash_looping);
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.livez == std::vector<int>{200});
  CHECK(seen.problems.empty());
  for (const auto& run : bed.runs()) CHECK_FALSE(alive(run.pid));
  stop_cleanly(fleet);
}

TEST_CASE("A handler out of time is ended with all it started, and its message retried",
          "[crash]") {
  for (const std::string mode : {"exec", "jsonl"}) {
    INFO(mode);
    Bed bed;
    Fleet fleet(bed.settings({{"HANDLER_MODE", mode},
                              {"HANDLER_TIMEOUT", "300ms"},
                              {"MAX_ATTEMPTS", "1"},
                              {"CONCURRENCY", "1"}}));
    const auto before = fleet.processes().size();
    bed.send(1, R"({"do": "crowd"})");
    REQUIRE(eventually([&] { return bed.dead() == 1; }, 10s));
    const auto error = bed.sql.query("select error from pgforeman.dead_message");
    INFO(error);
    CHECK(error.find("300") != std::string::npos);
    CHECK_FALSE(alive(bed.runs().front().pid));
    if (mode == "exec") {
      CHECK(eventually([&] { return fleet.processes().size() == before; }, 2s));
    }
    CHECK(fleet.status().exits.empty());
    stop_cleanly(fleet);
  }
}

TEST_CASE("Maintenance that is killed is replaced, and nobody misses it", "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings());
  Watch watch(fleet.port());
  for (int i = 0; i < 3; ++i) {
    const pid_t old = fleet.status().maintenance.pid;
    ::kill(old, SIGKILL);
    REQUIRE(fleet.wait_for_status([&](const Status& status) {
      return status.maintenance.pid > 0 && status.maintenance.pid != old &&
             status.maintenance.connected;
    }));
  }
  bed.send(20);
  CHECK(bed.wait_until_empty(10s));
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.livez == std::vector<int>{200});
  CHECK(seen.readyz == std::vector<int>{200});
  stop_cleanly(fleet);
}

TEST_CASE("A fleet that was paused and resumed kills nobody for it", "[long]") {
  Bed bed;
  // A child that waits reports at least every 2.1 s.
  Fleet fleet(bed.settings({{"POLL_INTERVAL", "50ms"}}));
  const auto children = children_of(fleet.pid());
  fleet.signal(SIGSTOP);
  for (const pid_t child : children) ::kill(child, SIGSTOP);
  const double paused_at = monotonic_now();
  REQUIRE(eventually([&] { return monotonic_now() - paused_at > 5; }));
  fleet.signal(SIGCONT);
  // The supervisor looks around before they can report.
  REQUIRE(fleet.wait_for_status(
      [](const Status& status) { return status.slots[0].deadline_in_seconds < 0; }));
  for (const pid_t child : children) ::kill(child, SIGCONT);
  bed.send(20);
  CHECK(bed.wait_until_empty(10s));
  CHECK(children_of(fleet.pid()) == children);
  CHECK(fleet.get("/livez").status == 200);
  CHECK(fleet.status().exits.empty());
  stop_cleanly(fleet);
}

TEST_CASE("A child stopped while it waits is killed at its deadline, siblings work on", "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings({{"POLL_INTERVAL", "200ms"}, {"CONCURRENCY", "2"}}));
  Watch watch(fleet.port());
  const Stopped stopped = stop_in_phase(fleet, 0, "waiting");
  CHECK(stopped.child.deadline_in_seconds < 3);
  // One after the other, each sent when the one before it is done: the sibling never stops.
  int handled = 0;
  while (alive(stopped.child.pid) && handled < 10000) {
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
  CHECK(status.slots[0].pid != stopped.child.pid);
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
  const Stopped stopped = status_of(fleet, busy);
  REQUIRE(stopped.child.phase == "running");
  CHECK(stopped.child.deadline_in_seconds > 20);
  CHECK(stopped.child.deadline_in_seconds < 22.6);
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
