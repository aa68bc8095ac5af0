// Signals that come from outside, to every process or to a handler alone, and what limits send.

#include <algorithm>
#include <csignal>

#include "process/bed.h"

using namespace pgforeman::test;

namespace {

/// As systemd does it with KillMode=control-group, the supervisor first; or as a script may do it
/// that begins with the leaves.
void term_to_all(const Fleet& fleet, bool handlers_first = false) {
  auto pids = fleet.processes();
  std::sort(pids.begin(), pids.end());
  if (handlers_first) std::reverse(pids.begin(), pids.end());
  for (const pid_t pid : pids) ::kill(pid, SIGTERM);
}

Settings in_mode(const Bed& bed, const std::string& mode, const Settings& more = {}) {
  return bed.settings(with({{"HANDLER", bed.handler(mode)},
                            {"HANDLER_MODE", mode},
                            {"CONCURRENCY", "2"},
                            {"SHUTDOWN_GRACE", "1s"}},
                           more));
}

void must_end(Fleet& fleet) {
  const auto end = fleet.wait_end(10s);
  REQUIRE(end);
  CHECK(end->code == 0);
  CHECK(fleet.processes().empty());
}

/// Nothing is lost, and nothing is charged.
void check_released(Bed& bed, const Fleet& fleet, int count) {
  CHECK(bed.claimable() == count);
  CHECK(bed.sql.number("select coalesce(sum(attempt + crashes), 0) from pgforeman.message") == 0);
  CHECK(bed.sql.number("select count(*) from pgforeman.message"
                       " where history->-1->>'cause' = 'shutdown'") == count);
  const auto lines = fleet.log("message released, attempt not counted");
  CHECK(std::count_if(lines.begin(), lines.end(), [](const LogLine& line) {
          return line["cause"] == "shutdown" && !line["message_id"].empty();
        }) == count);
}

}  // namespace

TEST_CASE("After the fleet's stop signal no exit code of a handler counts as done", "[outside]") {
  for (const std::string mode : {"exec", "jsonl"}) {
    for (const std::string code : {"0", "65", "143"}) {
      INFO(mode << ", exit code " << code);
      Bed bed;
      bed.send(2, R"({"do": "quit", "code": )" + code + "}");
      Fleet fleet(in_mode(bed, mode, {{"SHUTDOWN_GRACE", "100ms"}}));
      REQUIRE(bed.wait_for_runs(2));
      fleet.signal(SIGTERM);
      must_end(fleet);
      check_released(bed, fleet, 2);
    }
  }
}

TEST_CASE("TERM to every process costs no attempt, however handlers end", "[outside]") {
  for (const std::string mode : {"exec", "jsonl"}) {
    for (const std::string payload :
         {R"({"do": "hold"})", R"({"do": "quit", "code": 0})", R"({"do": "quit", "code": 1})",
          R"({"do": "quit", "code": 100})", R"({"do": "quit", "code": 143})"}) {
      INFO(mode << " " << payload);
      Bed bed;
      bed.send(2, payload);
      Fleet fleet(in_mode(bed, mode));
      REQUIRE(bed.wait_for_runs(2));
      term_to_all(fleet);
      must_end(fleet);
      check_released(bed, fleet, 2);
    }
  }
}

TEST_CASE("Handlers that die of TERM a moment before the fleet gets it are released", "[outside]") {
  for (const std::string mode : {"exec", "jsonl"}) {
    INFO(mode);
    Bed bed;
    bed.send(2, R"({"do": "hold"})");
    Fleet fleet(in_mode(bed, mode));
    REQUIRE(bed.wait_for_runs(2));
    std::vector<pid_t> handlers;
    for (const Run& run : bed.runs()) handlers.push_back(run.pid);
    for (const pid_t pid : handlers) ::kill(pid, SIGTERM);
    REQUIRE(eventually([&] { return std::none_of(handlers.begin(), handlers.end(), alive); }));
    term_to_all(fleet, true);
    must_end(fleet);
    check_released(bed, fleet, 2);
  }
}

TEST_CASE("A handler that gets TERM, works on and exits 0 runs again", "[outside]") {
  // By then its disposition is the default again, as of a program that lets a second TERM kill it.
  Bed bed;
  const std::string handler = bed.folder.write(
      "once.sh",
      "#!/bin/sh\ntrap 'trap - TERM; sleep 0.8; exit 0' TERM\nread -r body\necho began >>" +
          bed.folder.file("began") + "\nwhile :; do sleep 0.05; done\n",
      0755);
  Fleet fleet(
      bed.settings({{"HANDLER", handler}, {"CONCURRENCY", "2"}, {"SHUTDOWN_GRACE", "10s"}}));
  bed.send(2);
  REQUIRE(eventually([&] { return read_lines(bed.folder.file("began")).size() == 2; }));
  term_to_all(fleet);
  must_end(fleet);
  check_released(bed, fleet, 2);
}

TEST_CASE("A handler that an operator ends by TERM costs its message an attempt and no crash",
          "[outside]") {
  for (const std::string mode : {"exec", "jsonl"}) {
    for (const int signal : {SIGTERM, mode == "exec" ? SIGINT : SIGHUP}) {
      INFO(mode << " signal " << signal);
      Bed bed;
      bed.send(1, R"({"do": "hold"})");
      Fleet fleet(in_mode(bed, mode, {{"RETRY_BACKOFF", "1h"}, {"RETRY_BACKOFF_MAX", "1h"}}));
      REQUIRE(bed.wait_for_runs(1));
      ::kill(bed.runs()[0].pid, signal);
      const auto line = fleet.wait_for_log("message failed, will be retried");
      REQUIRE(line);
      CHECK((*line)["cause"] == "signal");
      CHECK(bed.sql.number("select attempt from pgforeman.message") == 1);
      CHECK(bed.sql.number("select crashes from pgforeman.message") == 0);
      stop_cleanly(fleet);
    }
  }
}

TEST_CASE("A jsonl answer after the fleet's TERM counts", "[outside]") {
  Bed bed;
  bed.send(1);
  const std::string handler =
      bed.folder.write("late.sh",
                       "#!/bin/sh\nread -r line || exit 0\nid=${line#*:}; id=${id%%,*}\n"
                       "trap 'echo \"{\\\"id\\\":$id,\\\"status\\\":\\\"done\\\"}\"; exit 0' USR1\n"
                       "echo begun >" +
                           bed.folder.file("begun") + "\nwhile :; do sleep 0.01; done\n",
                       0755);
  Fleet fleet(in_mode(
      bed, "jsonl",
      {{"HANDLER", handler}, {"SHUTDOWN_GRACE", "100ms"}, {"HANDLER_STOP_SIGNAL", "USR1"}}));
  REQUIRE(eventually([&] { return !read_file(bed.folder.file("begun")).empty(); }));
  fleet.signal(SIGTERM);
  must_end(fleet);
  CHECK(bed.left() == 0);
}

TEST_CASE("HANDLER_STOP_GRACE is the time between the stop signal and KILL", "[outside]") {
  Bed bed;
  bed.send(1);
  const std::string handler =
      bed.folder.write("stubborn.sh",
                       "#!/bin/sh\ntrap '' TERM\necho begun >" + bed.folder.file("begun") +
                           "\nwhile :; do sleep 0.1; done\n",
                       0755);
  Fleet fleet(in_mode(
      bed, "exec",
      {{"HANDLER", handler}, {"SHUTDOWN_GRACE", "100ms"}, {"HANDLER_STOP_GRACE", "700ms"}}));
  REQUIRE(eventually([&] { return !read_file(bed.folder.file("begun")).empty(); }));
  const double start = monotonic_now();
  fleet.signal(SIGTERM);
  must_end(fleet);
  const double took = monotonic_now() - start;
  CHECK(took >= 0.8);
  CHECK(took < allowed(1.8));
  check_released(bed, fleet, 1);
}

TEST_CASE("A handler above HANDLER_MAX_MEMORY is ended as out of memory", "[outside]") {
  for (const std::string mode : {"exec", "jsonl"}) {
    INFO(mode);
    Bed bed;
    bed.send(1, R"({"do": "hoard", "mib": 100})");
    Fleet fleet(in_mode(bed, mode, {{"HANDLER_MAX_MEMORY", "80MiB"}, {"MAX_CRASHES", "1"}}));
    bed.send(20);
    REQUIRE(eventually([&] { return bed.dead() == 1; }));
    const auto letter = bed.sql.rows(
        "select reason, crashes, history->-1->>'cause', error from pgforeman.dead_message")[0];
    CHECK(letter[0] == "max_crashes");
    CHECK(letter[1] == "1");
    CHECK(letter[2] == "out_of_memory");
    CHECK_THAT(letter[3], contains("above 80MiB (HANDLER_MAX_MEMORY)"));
    CHECK(bed.wait_until_empty(10s));
    stop_cleanly(fleet);
  }
}

TEST_CASE("A log file or a CPU time over its limit kills no child", "[outside]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}, {"LOG_LEVEL", "debug"}}), Fleet::Wait::ready,
              [](Launch& what) {
                what.argv.insert(what.argv.begin(),
                                 {"/usr/bin/prlimit", "--fsize=8192:unlimited", "--core=0"});
              });
  bed.send(100);
  CHECK(bed.wait_until_empty(20s));
  const auto status = fleet.status();
  CHECK(status.exits.empty());
  for (const auto& slot : status.slots) ::kill(slot.pid, SIGXCPU);
  ::kill(status.maintenance.pid, SIGXCPU);
  bed.send(10);
  CHECK(bed.wait_until_empty(20s));
  CHECK(fleet.status().exits.empty());
  CHECK(fleet.log_text().size() == 8192);  // it did meet its limit
  fleet.signal(SIGTERM);
  must_end(fleet);
}
