// Children that hang or die while they boot, and forks that fail.

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>

#include "process/bed.h"
#include "process/birth_tracer.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

bool every_slot_loops(const Status& status) {
  return std::all_of(status.slots.begin(), status.slots.end(),
                     [](const SlotStatus& slot) { return slot.crash_looping; });
}

void kill_consumers(const Fleet& fleet) {
  for (const auto& slot : fleet.status().slots) {
    if (slot.pid > 0) ::kill(slot.pid, SIGKILL);
  }
}

/// The delay before each re-fork of `slot` after its first boot failure: as announced and as seen.
struct Delay {
  double announced = 0, seen = 0;
};
std::vector<Delay> delays_of(const Fleet& fleet, int slot) {
  std::vector<Delay> delays;
  double ended_at = 0, announced = 0;
  for (const auto& line : fleet.log()) {
    if (line["child_slot"] != std::to_string(slot)) continue;
    if (line.message == "child ended") {
      ended_at = line.time;
      announced = std::stod(line["restart_in_ms"]) / 1000;
    } else if (line.message == "child forked" && ended_at > 0) {
      delays.push_back({announced, line.time - ended_at});
    }
  }
  // The healthy child's own end comes first; it is followed at once.
  if (!delays.empty()) delays.erase(delays.begin());
  return delays;
}

uid_t lonely_user() {
  return static_cast<uid_t>(200'000 + ::getpid());
}

/// Runs as a user without another process, which may have `processes`.
auto as_lonely_user(long processes) {
  return [processes](Launch& what) {
    if (::geteuid() == 0) what.user = lonely_user();
    what.processes = processes;
    // The leak check of a sanitized build would itself fork.
    what.environment["ASAN_OPTIONS"] = "detect_leaks=0";
  };
}

/// Asked by a process of the same user, which needs no privilege for it.
void set_process_limit(pid_t pid, long most) {
  Launch what;
  what.argv = {"/usr/bin/prlimit", "--pid", std::to_string(pid),
               "--nproc=" + std::to_string(most) + ":"};
  if (::geteuid() == 0) what.user = lonely_user();
  const auto end = wait_for_end(launch(what), 10s);
  REQUIRE(end);
  REQUIRE(end->code == 0);
}

}  // namespace

TEST_CASE("A child that hangs while it boots is killed at the boot deadline and replaced",
          "[boot]") {
  Bed bed;
  Fleet fleet(bed.settings({{"BOOT_TIMEOUT", "1s"}, {"CONCURRENCY", "2"}}));
  BirthTracer tracer(fleet.pid(), BirthTracer::Fate::hang);
  const auto before = fleet.status();
  ::kill(before.slots[0].pid, SIGKILL);
  REQUIRE(eventually([&] { return tracer.born().size() == 1; }));
  const double born_at = monotonic_now();
  tracer.set(BirthTracer::Fate::live);
  // Its sibling works meanwhile.
  bed.send(20);
  CHECK(bed.wait_until_empty(10s));
  const pid_t hanging = tracer.born().front();
  REQUIRE(eventually([&] { return !alive(hanging); }, 5s));
  const double died_after = monotonic_now() - born_at;
  say("P4 hanging at boot with BOOT_TIMEOUT=1s: killed after " + std::to_string(died_after) + " s");
  CHECK(died_after >= 0.9);
  CHECK(died_after <= 2.0);
  REQUIRE(fleet.wait_ready());
  const auto after = fleet.status();
  CHECK(after.slots[0].last_explain == "killed by SIGKILL: missed its booting deadline");
  CHECK(after.slots[0].pid != hanging);
  CHECK(after.slots[1].pid == before.slots[1].pid);
  tracer.end();
  stop_cleanly(fleet);
}

TEST_CASE("A slot that crashes at boot is forked again after growing delays", "[boot]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}, {"RESTART_BACKOFF_MAX", "800ms"}}));
  Watch watch(fleet.port());
  BirthTracer tracer(fleet.pid(), BirthTracer::Fate::die);
  kill_consumers(fleet);
  REQUIRE(eventually([&] { return delays_of(fleet, 0).size() >= 7; }, 20s));
  CHECK(fleet.wait_for_status(every_slot_loops));
  CHECK(fleet.get("/livez").status == 503);
  CHECK(fleet.status().not_live_reason == "every slot is crash-looping");
  CHECK(fleet.log("slot is crash-looping").size() == 2);
  double worst = 0;
  for (const int slot : {0, 1}) {
    const auto delays = delays_of(fleet, slot);
    for (std::size_t n = 0; n < delays.size(); ++n) {
      const double nominal = std::min(0.1 * std::pow(2, static_cast<double>(n)), 0.8);
      INFO("slot " << slot << ", delay " << n << ": " << delays[n].announced << " s, in fact "
                   << delays[n].seen << " s");
      CHECK(std::abs(delays[n].announced - nominal) <= 0.2 * nominal + 0.002);
      // The line of a death is written after the instant that its delay counts from, on a busy
      // machine by a time slice.
      CHECK(delays[n].seen >= delays[n].announced - 0.02);
      // What a busy machine may add.
      CHECK(delays[n].seen <= delays[n].announced + allowed(0.2));
      worst = std::max(worst, delays[n].seen - delays[n].announced);
    }
  }
  say("P5 delays within 20 % of min(0.1 s * 2^n, 0.8 s); forked at most " +
      std::to_string(worst * 1000) + " ms after");
  // A child that lives is a beginning, not yet health.
  tracer.set(BirthTracer::Fate::live);
  CHECK(fleet.wait_ready());
  CHECK(fleet.get("/livez").status == 503);
  bed.send(5);
  CHECK(bed.wait_until_empty(10s));
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  tracer.end();
  stop_cleanly(fleet);
}

TEST_CASE("Failed boots with a healthy child between them are no crash loop", "[boot]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"CRASH_LOOP_COUNT", "3"}}));
  BirthTracer tracer(fleet.pid(), BirthTracer::Fate::live);
  for (std::size_t round = 1; round <= 3; ++round) {
    tracer.set(BirthTracer::Fate::die);
    kill_consumers(fleet);
    // Two die, the third lives: six in all, never three in a row.
    REQUIRE(eventually([&] { return tracer.born().size() == 3 * round - 1; }));
    tracer.set(BirthTracer::Fate::live);
    REQUIRE(eventually([&] { return fleet.status().slots[0].phase == "waiting"; }));
  }
  CHECK(fleet.log("slot is crash-looping").empty());
  CHECK(fleet.get("/livez").status == 200);
  tracer.end();
  stop_cleanly(fleet);
}

TEST_CASE("TERM ends a fleet at once while all slots back off", "[boot]") {
  Bed bed;
  Fleet fleet(bed.settings(
      {{"CONCURRENCY", "2"}, {"RESTART_BACKOFF", "30s"}, {"RESTART_BACKOFF_MAX", "30s"}}));
  BirthTracer tracer(fleet.pid(), BirthTracer::Fate::die);
  kill_consumers(fleet);
  REQUIRE(fleet.wait_for_status([](const Status& status) {
    return std::all_of(status.slots.begin(), status.slots.end(), [](const SlotStatus& slot) {
      return slot.pid == 0 && slot.restart_in_seconds > 20;
    });
  }));
  tracer.end();
  const double start = monotonic_now();
  stop_cleanly(fleet);
  CHECK(monotonic_now() - start < 1.0);
}

TEST_CASE("A crash loop costs next to nothing, and its verdict clears while the child lives",
          "[clears]") {
  Bed bed;
  Fleet fleet(bed.settings(
      {{"CONCURRENCY", "8"}, {"RESTART_BACKOFF_MAX", "3s"}, {"CRASH_LOOP_COUNT", "3"}}));
  BirthTracer tracer(fleet.pid(), BirthTracer::Fate::die);
  kill_consumers(fleet);
  REQUIRE(fleet.wait_for_status(every_slot_loops, 20s));
  // From the sixth on the delays are 3 s.
  const auto forks = [&] { return fleet.status().slots[0].epoch; };
  REQUIRE(eventually([&] { return forks() >= 7; }, 30s));
  const auto cpu = [&] {
    const auto state = process_state(fleet.pid());
    return state.cpu_seconds + state.reaped_cpu_seconds;
  };
  const double start = monotonic_now();
  const double before = cpu();
  REQUIRE(fleet.wait_for_log(
      "child forked",
      [](const LogLine& line) {
        return line["child_slot"] == "0" && std::stoi(line["child_epoch"]) >= 9;
      },
      30s));
  const double share = (cpu() - before) / (monotonic_now() - start);
  say("P5 8 slots crashing for ever cost " + std::to_string(share * 100) +
      " % of a core, what crashes included");
  CHECK(share < allowed(0.01));
  tracer.set(BirthTracer::Fate::live);
  REQUIRE(fleet.wait_ready(20s));
  const auto alive_before = fleet.status();
  const double healthy_at = monotonic_now();
  CHECK(fleet.get("/livez").status == 503);
  REQUIRE(fleet.wait_for_status([](const Status& status) { return status.live; }, 80s));
  const double cleared_after = monotonic_now() - healthy_at;
  REQUIRE(fleet.wait_for_status([](const Status& status) {
    return std::none_of(status.slots.begin(), status.slots.end(),
                        [](const SlotStatus& slot) { return slot.crash_looping; });
  }));
  say("P5 the verdict cleared after " + std::to_string(cleared_after) + " s of health");
  // The first of them was healthy up to one delay before the last was.
  CHECK(cleared_after >= 56);
  CHECK(cleared_after <= 62);
  CHECK(fleet.get("/livez").status == 200);
  const auto alive_after = fleet.status();
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(alive_after.slots[i].pid == alive_before.slots[i].pid);
  }
  tracer.end();
  stop_cleanly(fleet);
}

TEST_CASE("A fleet that cannot be forked answers its endpoint and gives up with code 71",
          "[boot]") {
  Bed bed;
  ::chmod(bed.folder.file("").c_str(), 0777);
  Fleet fleet(bed.settings({{"BOOT_TIMEOUT", "2s"}}), Fleet::Wait::port, as_lonely_user(1));
  const double start = monotonic_now();
  Watch watch(fleet.port());
  CHECK(watch.wait_for_scrapes(5));
  CHECK(fleet.get("/livez").status == 200);
  CHECK(fleet.get("/readyz").status == 503);
  const auto status = fleet.status();
  CHECK(status.state == "starting");
  CHECK(status.slots.size() == 4);
  CHECK(std::all_of(status.slots.begin(), status.slots.end(),
                    [](const SlotStatus& slot) { return slot.pid == 0; }));
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.worst_ms() < 500);
  const auto end = fleet.wait_end(10s);
  REQUIRE(end);
  CHECK(end->code == 71);
  CHECK(monotonic_now() - start < 3.0);
  const auto failures = fleet.log("fork failed, will try again");
  CHECK(failures.size() >= 5);
  // With a growing delay, not in a loop.
  CHECK(failures.size() <= 60);
  CHECK(fleet.log("the first fleet could not be forked within the boot timeout").size() == 1);
  CHECK(fleet.processes().empty());
}

TEST_CASE("A fleet that cannot fork for a while works on and recovers", "[boot]") {
  Bed bed;
  ::chmod(bed.folder.file("").c_str(), 0777);
  Fleet fleet(bed.settings({{"RESTART_BACKOFF_MAX", "300ms"}}), Fleet::Wait::ready,
              as_lonely_user(500));
  Watch watch(fleet.port());
  set_process_limit(fleet.pid(), 1);
  const auto before = fleet.status();
  ::kill(before.slots[0].pid, SIGKILL);
  REQUIRE(fleet.wait_for_log("fork failed, will try again"));
  bed.send(50);
  CHECK(bed.wait_until_empty(20s));
  CHECK(fleet.status().slots[0].pid == 0);
  CHECK(fleet.status().slots[1].pid == before.slots[1].pid);
  set_process_limit(fleet.pid(), 500);
  const double start = monotonic_now();
  REQUIRE(fleet.wait_ready());
  say("P7 forked again " + std::to_string(monotonic_now() - start) + " s after it was possible");
  CHECK(monotonic_now() - start < 1.5);
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.livez == std::vector<int>{200});
  stop_cleanly(fleet);
}
