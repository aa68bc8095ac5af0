// Nothing outlives the supervisor, and every exit is explained.

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "process/bed.h"
#include "support/prometheus_text.h"

using namespace pgforeman::test;

namespace {

/// What makes the words after it the first process of a namespace.
std::vector<std::string> namespace_words() {
  std::vector<std::string> words{"/usr/bin/unshare", "--pid", "--fork", "--kill-child",
                                 "--mount-proc"};
  if (::geteuid() != 0) words.insert(words.end(), {"--user", "--map-root-user"});
  return words;
}

/// Not in a chroot, nor in most containers.
bool may_be_first() {
  Launch what;
  what.argv = namespace_words();
  what.argv.emplace_back("/bin/true");
  what.environment = clean_environment();
  const auto end = wait_for_end(launch(what), 10s);
  return end && end->signal == 0 && end->code == 0;
}

}  // namespace

TEST_CASE("Nothing is left a second after the supervisor was killed while handlers run",
          "[exits]") {
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
  say("P11 supervisor killed with 22 processes: all gone after " + in_ms(took));
  CHECK(figures(took).worst <= 1.0);
}

TEST_CASE("Nothing is left a second after the supervisor was killed while children are stopped",
          "[exits]") {
  Bed bed;
  Fleet fleet(bed.settings());
  for (const pid_t child : children_of(fleet.pid())) ::kill(child, SIGSTOP);
  const double start = monotonic_now();
  fleet.signal(SIGKILL);
  CHECK(eventually([&] { return fleet.processes().empty(); }, 5s));
  const double took = monotonic_now() - start;
  say("P11 supervisor killed, children stopped: all gone after " + in_ms({took}));
  CHECK(took <= 1.0);
}

TEST_CASE("Nothing is left a second after the supervisor was killed while the fleet boots",
          "[exits]") {
  Bed bed;
  std::vector<double> took;
  const int trials = repeated(20, 2);
  for (int i = 0; i < trials; ++i) {
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
  say("P11 supervisor killed while booting, " + std::to_string(trials) +
      " trials: all gone after " + in_ms(took));
  CHECK(figures(took).worst <= 1.0);
}

TEST_CASE("As PID 1 a fleet ends and reaps a thousand orphans of handlers within a second",
          "[exits]") {
  constexpr int kOrphans = 1000;
  Bed bed;
  bed.send(4, R"({"do": "horde", "size": )" + std::to_string(kOrphans / 4) + "}");
  // It is the first process of a namespace of its own, as in a container. Where none may be made
  // orphans come to it all the same, as to a subreaper.
  const bool as_first = may_be_first();
  Fleet fleet(bed.settings({{"HANDLER_MODE", "jsonl"}}), Fleet::Wait::ready, [&](Launch& what) {
    if (!as_first) return;
    std::vector<std::string> words = namespace_words();
    words.insert(words.end(), what.argv.begin(), what.argv.end());
    what.argv = words;
  });
  const pid_t first = as_first ? children_of(fleet.pid()).at(0) : fleet.pid();
  REQUIRE(bed.wait_for_runs(4));
  // Of the orphans' environment each has the fleet's mark.
  REQUIRE(eventually([&] { return fleet.processes().size() >= kOrphans + 4; }, 30s));
  // The process that would have ended them dies first; then they come to PID 1.
  const auto children = children_of(first);
  std::vector<pid_t> orphans = fleet.processes();
  std::erase_if(orphans, [&](pid_t pid) {
    return pid == fleet.pid() || pid == first || process_state(pid).parent == first;
  });
  const double start = monotonic_now();
  for (const pid_t child : children) ::kill(child, SIGKILL);
  // Not even as zombies.
  const bool gone = eventually(
      [&] {
        return std::none_of(orphans.begin(), orphans.end(),
                            [](pid_t pid) { return process_state(pid).state != 0; });
      },
      10s);
  const double took = monotonic_now() - start;
  say(std::string("P9 as ") + (as_first ? "PID 1, " : "a subreaper, ") + std::to_string(kOrphans) +
      " orphans: ended and reaped after " + in_ms({took}));
  CHECK(gone);
  CHECK(took <= allowed(1.0));
  CHECK(bed.wait_until_empty(20s));
  CHECK(eventually([&] {
    const auto left = children_of(first);
    return left.size() == 5 && std::all_of(left.begin(), left.end(), alive);
  }));
  ::kill(first, SIGTERM);
  const auto end = fleet.wait_end();
  REQUIRE(end);
  CHECK(end->signal == 0);
  CHECK(end->code == 0);
  CHECK(fleet.processes().empty());
}

TEST_CASE("Every exit is explained in the log, in the status and in a counter", "[exits]") {
  Bed bed;
  const std::string marker = bed.folder.file("exit_now");
  Fleet fleet(bed.settings({{"POLL_INTERVAL", "100ms"}}), Fleet::Wait::ready, [&](Launch& what) {
    what.environment["LD_PRELOAD"] = TEST_EXIT_FAULT_PATH;
    what.environment["EXIT_FAULT_FILE"] = marker;
    // Under the address sanitizer a preloaded library comes before its run time.
    what.environment["ASAN_OPTIONS"] = "verify_asan_link_order=0";
    what.argv.insert(what.argv.begin(), {"/usr/bin/prlimit", "--core=0"});
  });
  const auto pids = [&] {
    std::vector<pid_t> all;
    for (const auto& slot : fleet.status().slots) all.push_back(slot.pid);
    return all;
  }();
  ::kill(pids[0], SIGSEGV);
  bed.folder.write("exit_now", std::to_string(pids[2]));
  ::kill(pids[1], SIGSTOP);
  fleet.signal(SIGTTOU);  // drains slot 3
  REQUIRE(fleet.wait_for_log("concurrency changed"));
  fleet.signal(SIGTTIN);
  REQUIRE(fleet.wait_for_status([](const Status& status) {
    return status.slots.size() == 4 &&
           std::all_of(status.slots.begin(), status.slots.end(), [](const SlotStatus& slot) {
             return !slot.last_cause.empty() && slot.connected;
           });
  }));
  const Status status = fleet.status();
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"signal", "killed by SIGSEGV"},
      {"deadline", "killed by SIGKILL: missed its "},
      {"exit_code", "exited with code 7"},
      {"drained", "exited with code 0"}};
  const std::string metrics = fleet.metrics();
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& [cause, explain] = expected[i];
    INFO(i << " " << cause << ": " << status.slots[i].last_explain);
    CHECK(status.slots[i].last_cause == cause);
    CHECK(status.slots[i].last_explain.rfind(explain, 0) == 0);
    const auto counted = status.exits.find(cause);
    CHECK((counted != status.exits.end() && counted->second == 1));
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

TEST_CASE("A written core file is a cause of its own", "[exits]") {
  Bed bed;
  Fleet fleet(bed.settings(), Fleet::Wait::ready, [&](Launch& what) {
    what.argv.insert(what.argv.begin(), {"/usr/bin/env", "--chdir", bed.folder.file(""),
                                         "/usr/bin/prlimit", "--core=1000000000"});
  });
  ::kill(fleet.status().slots[0].pid, SIGSEGV);
  const auto line = fleet.wait_for_log("child ended");
  REQUIRE(line);
  // Whether there is one is up to the kernel's core_pattern (and ASan, which wants none).
  const bool dumped = (*line)["explain"] == "killed by SIGSEGV (core dumped)";
  if (!dumped) CHECK((*line)["explain"] == "killed by SIGSEGV");
  CHECK((*line)["cause"] == (dumped ? "core" : "signal"));
  say(std::string("P14 core file: ") + (dumped ? "written" : "none on this machine"));
  stop_cleanly(fleet);
}

TEST_CASE("A child that does not end in the drain is killed, with the cause shutdown", "[exits]") {
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

TEST_CASE("A fleet does not end processes that were there before it", "[exits]") {
  Bed bed;
  // An entrypoint that starts a helper of its own, then becomes pgforeman.
  const std::string helper = bed.folder.file("helper");
  Fleet fleet(bed.settings(), Fleet::Wait::ready, [&](Launch& what) {
    std::vector<std::string> argv = {
        "/bin/sh", "-c", "tail -f /dev/null & echo $! > " + helper + "; exec \"$@\"", "sh"};
    argv.insert(argv.end(), what.argv.begin(), what.argv.end());
    what.argv = argv;
  });
  const pid_t pid = static_cast<pid_t>(std::stol(read_file(helper)));
  const pid_t consumer = fleet.status().slots.at(0).pid;
  ::kill(consumer, SIGKILL);
  REQUIRE(fleet.wait_for_log("child ended"));
  REQUIRE(fleet.wait_for_status(
      [&](const Status& status) { return status.slots.at(0).restarts == 1; }));
  CHECK(::kill(pid, 0) == 0);
  CHECK(fleet.stop() == 0);
  CHECK(::kill(pid, 0) == 0);
  ::kill(pid, SIGKILL);
}
