// Children that stop, and fleets that pause: deadlines hold for the ones and spare the others.

#include <algorithm>
#include <csignal>

#include "process/bed.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

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

TEST_CASE("A paused and resumed fleet kills no child", "[long]") {
  Bed bed;
  // A child that waits reports at least every 2.1 s.
  Fleet fleet(bed.settings({{"POLL_INTERVAL", "50ms"}}));
  const auto children = children_of(fleet.pid());
  fleet.signal(SIGSTOP);
  for (const pid_t child : children) ::kill(child, SIGSTOP);
  const double paused_at = monotonic_now();
  const int pause = number_from("PGFOREMAN_TEST_PAUSE_SECONDS", 5);
  REQUIRE(eventually([&] { return monotonic_now() - paused_at > pause; },
                     std::chrono::seconds(pause + 10)));
  fleet.signal(SIGCONT);
  // The supervisor checks deadlines before they can report.
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

TEST_CASE("A child stopped while it waits is killed at its deadline, siblings work on",
          "[deadline]") {
  Bed bed;
  Fleet fleet(bed.settings({{"POLL_INTERVAL", "200ms"}, {"CONCURRENCY", "2"}}));
  Watch watch(fleet.port());
  const Stopped stopped = stop_in_phase(fleet, 0, "waiting");
  CHECK(stopped.child.deadline_in_seconds < 4.1);
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
  const double deadline = stopped.deadline - monotonic_now() + wall_now();
  CHECK(line->time < deadline + allowed(1.0));
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

TEST_CASE("A stopped child is killed within a second of the deadline it published", "[deadline]") {
  Bed bed;
  Fleet fleet(bed.settings({{"POLL_INTERVAL", "200ms"}, {"CONCURRENCY", "2"}}));
  std::vector<double> late;
  for (int i = 0; i < 3; ++i) {
    late.push_back(killed_after_deadline(fleet, stop_in_phase(fleet, 1, "waiting")));
  }
  say("P3 stopped in waiting, killed after its deadline: " + in_ms(late));
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
  say("P3 stopped in running, killed after its deadline: " + in_ms({late}));
  CHECK(late >= 0);
  CHECK(late <= 1.0);
  CHECK_FALSE(alive(bed.runs().front().pid));
  CHECK(fleet.status().slots[busy].last_cause == "deadline");
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  CHECK(watch.finish().problems.empty());
  stop_cleanly(fleet);
}
