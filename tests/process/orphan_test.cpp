// What the fleet may end: what comes from handlers, wherever it went, and nothing else.

#include <algorithm>
#include <csignal>

#include "process/bed.h"

using namespace pgforeman::test;

namespace {

bool all_gone(const std::vector<pid_t>& pids) {
  return std::none_of(pids.begin(), pids.end(), alive);
}

/// With an entrypoint that starts a sidecar by a launcher, which ends when the fleet is ready (by a
/// file): the sidecar's daemon comes to the fleet as an orphan.
void with_sidecar(Launch& what, const std::string& pid_file) {
  const std::string script = "sh -c 'sleep 1000 & echo $! >" + pid_file + "; while [ ! -e " +
                             pid_file + ".ready ]; do sleep 0.05; done' & exec \"$0\" \"$@\"";
  what.argv.insert(what.argv.begin(), {"/bin/sh", "-c", script});
}

}  // namespace

TEST_CASE(
    "A sidecar's daemon is spared, a handler's descendants are gone before its message runs again",
    "[orphans]") {
  for (const std::string mode : {"exec", "jsonl"}) {
    INFO(mode);
    Bed bed;
    const std::string pid_file = bed.folder.file("sidecar");
    Fleet fleet(bed.settings({{"HANDLER", bed.handler(mode)},
                              {"HANDLER_MODE", mode},
                              {"CONCURRENCY", "1"},
                              {"MAX_CRASHES", "100"},
                              {"SHUTDOWN_GRACE", "100ms"}}),
                Fleet::Wait::ready, [&](Launch& what) { with_sidecar(what, pid_file); });
    bed.folder.write("sidecar.ready", "");
    REQUIRE(eventually([&] { return !read_lines(pid_file).empty(); }));
    const pid_t sidecar = std::stoi(read_lines(pid_file)[0]);
    REQUIRE(eventually([&] { return process_state(sidecar).parent == fleet.pid(); }));
    bed.send(1, R"({"do": "crowd"})");
    for (std::size_t deaths = 1; deaths <= 2; ++deaths) {
      REQUIRE(bed.wait_for_runs(deaths));
      REQUIRE(eventually([&] { return bed.crowd().size() == 4 * deaths; }));
      const auto crowd = bed.crowd();
      const auto before = std::vector<pid_t>(crowd.end() - 4, crowd.end());
      ::kill(fleet.status().slots[0].pid, SIGKILL);
      REQUIRE(bed.wait_for_runs(deaths + 1));
      CHECK(all_gone(before));
    }
    CHECK(alive(sidecar));
    const auto lines = fleet.log("orphan left alone, no handler started it");
    REQUIRE(lines.size() == 1);
    CHECK(lines[0]["orphan_pid"] == std::to_string(sidecar));
    CHECK(lines[0]["program"] == "sleep");
    fleet.stop();
    CHECK(alive(sidecar));
    ::kill(sidecar, SIGKILL);
  }
}

TEST_CASE("Nothing that handlers started outlives a SIGKILL of the fleet", "[orphans]") {
  for (const std::string mode : {"exec", "jsonl"}) {
    for (const std::string how : {"process group", "supervisor and consumer"}) {
      INFO(mode << ", " << how);
      Bed bed;
      bed.send(1, R"({"do": "crowd"})");
      Fleet fleet(bed.settings(
          {{"HANDLER", bed.handler(mode)}, {"HANDLER_MODE", mode}, {"CONCURRENCY", "1"}}));
      REQUIRE(bed.wait_for_runs(1));
      REQUIRE(eventually([&] { return bed.crowd().size() == 4; }));
      if (how == "process group") {
        ::kill(-fleet.pid(), SIGKILL);
      } else {
        const pid_t consumer = fleet.status().slots[0].pid;
        fleet.signal(SIGKILL);
        ::kill(consumer, SIGKILL);
      }
      const auto end = fleet.wait_end();
      REQUIRE(end);
      CHECK(end->signal == SIGKILL);
      CHECK(eventually([&] { return all_gone(bed.crowd()) && fleet.processes().empty(); }, 2s));
    }
  }
}
