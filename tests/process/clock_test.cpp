// The wall clock jumps; what counts time by it would kill the healthy.

#include <cmath>

#include "process/bed.h"
#include "support/faketime.h"
#include "support/watch.h"

using namespace pgforeman::test;

TEST_CASE("A wall clock that jumps by an hour, back and forth, kills no child", "[clock]") {
  Bed bed;
  const auto step = [&](const std::string& offset) { bed.folder.write("clock", offset + "\n"); };
  step("+0");
  bed.send(2, R"({"do": "hold"})");
  Fleet fleet(
      bed.settings(
          {{"VISIBILITY_TIMEOUT", "2s"}, {"HANDLER_TIMEOUT", "60s"}, {"POLL_INTERVAL", "100ms"}}),
      Fleet::Wait::ready, [&](Launch& what) {
        what.environment["LD_PRELOAD"] = faketime_library();
        what.environment["FAKETIME_TIMESTAMP_FILE"] = bed.folder.file("clock");
        what.environment["FAKETIME_NO_CACHE"] = "1";
        what.environment["FAKETIME_DONT_FAKE_MONOTONIC"] = "1";
      });
  REQUIRE(bed.wait_for_runs(2));
  Watch watch(fleet.port());
  const auto children = children_of(fleet.pid());
  const auto hour = 3600.0;
  std::size_t sent = 2;
  for (const auto& [offset, seconds] :
       {std::pair{"+3600", hour}, {"-3600", -hour}, {"+0", 0.0}, {"+3600", hour}}) {
    INFO(offset);
    step(offset);
    // It believes it: what it logs from now on is of the new time.
    const auto logged = fleet.log("concurrency changed").size();
    const double expected = wall_now() + seconds;
    fleet.signal(SIGTTIN);
    REQUIRE(eventually([&] { return fleet.log("concurrency changed").size() > logged; }));
    CHECK(std::abs(fleet.log("concurrency changed")[logged].time - expected) < 60);
    fleet.signal(SIGTTOU);
    // Longer than a lease, and than a child that waits may be silent.
    const double begun = monotonic_now();
    CHECK(eventually([&] { return monotonic_now() - begun > 3; }));
    bed.send(5);
    sent += 5;
    CHECK(bed.wait_for_runs(sent));
    REQUIRE(fleet.wait_for_status([](const Status& s) { return s.slots.size() == 4; }));
  }
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  CHECK(bed.runs().size() == sent);  // no lease was lost
  for (const pid_t child : children) CHECK(alive(child));
  for (const auto& [cause, count] : fleet.status().exits) CHECK(cause == "drained");
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.livez == std::vector<int>{200});
  CHECK(seen.readyz == std::vector<int>{200});
  stop_cleanly(fleet);
}
