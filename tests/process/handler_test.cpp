// Handlers that are wrong in the same way for every message: the fleet says so, and spares the
// messages.

#include <cstdio>

#include "bed.h"

using namespace pgforeman::test;

namespace {

constexpr auto kBrakes = "every run fails: the fleet runs one message at a time until one succeeds";
constexpr auto kReleases = "a run succeeded: the fleet works at full speed again";

/// A program whose content is replaced in one step.
std::string program(Bed& bed, const std::string& script) {
  const std::string path = bed.folder.write("program.new", "#!/bin/sh\n" + script + "\n", 0755);
  const std::string name = path.substr(0, path.size() - 4);
  REQUIRE(std::rename(path.c_str(), name.c_str()) == 0);
  return name;
}

std::string metric(const Fleet& fleet, const std::string& name) {
  const std::string text = "\n" + fleet.metrics();
  const auto at = text.find("\n" + name + " ");
  if (at == std::string::npos) return "none";
  const auto begin = at + name.size() + 2;
  return text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace

TEST_CASE("A fleet is not ready until a start of its handler has worked", "[handler]") {
  Bed bed;
  bed.send(3);
  const std::string path = program(bed, "exec no-such-interpreter");
  Fleet fleet(bed.settings({{"HANDLER", path}, {"CONCURRENCY", "2"}}), Fleet::Wait::port);
  CHECK(fleet.wait_for_status(
      [](const Status& s) {
        return s.not_ready_reason.find("no start of the handler has worked") == 0 &&
               s.not_ready_reason.find("no-such-interpreter") != std::string::npos;
      },
      5s));
  CHECK(fleet.get("/readyz").status == 503);
  CHECK(fleet.get("/livez").status == 200);
  CHECK(metric(fleet, "pgforeman_handler_not_started") == "1");
  CHECK(metric(fleet, "pgforeman_handler_failed_starts_total") != "0");
  CHECK(bed.sql.number("select max(attempt) from pgforeman.message") == 0);
  program(bed, "exit 0");
  CHECK(bed.wait_until_empty(20s));
  CHECK(fleet.wait_ready(1s));
  CHECK(metric(fleet, "pgforeman_handler_not_started") == "0");
  stop_cleanly(fleet);
  CHECK(bed.dead() == 0);
}

TEST_CASE("A fleet without any message yet is ready, even if its handler cannot start",
          "[handler]") {
  Bed bed;
  Fleet fleet(bed.settings({{"HANDLER", program(bed, "exit 127")}}));
  CHECK(fleet.status().ready);
  stop_cleanly(fleet);
}

TEST_CASE("When every run fails the fleet slows down until one succeeds", "[handler]") {
  Bed bed;
  bed.send(300);
  const std::string path = program(bed, "exit 2");
  Fleet fleet(bed.settings({{"HANDLER", path}, {"CONCURRENCY", "4"}, {"RETRY_BACKOFF", "1ms"}}));
  REQUIRE(fleet.wait_for_log(kBrakes));
  // A second between two runs: some 2 s, in which 4 consumers would run thousands.
  REQUIRE(
      fleet.wait_for_log("every run still fails: the next message runs later",
                         [](const LogLine& line) { return std::stoi(line["wait_ms"]) > 1000; }));
  CHECK(fleet.log("message failed, will be retried").size() <= 40);
  CHECK(metric(fleet, "pgforeman_braking") == "1");
  CHECK(fleet.status().ready);
  CHECK(fleet.log("message failed, will be retried").at(0)["cost"] == "attempt 1 of 5");
  program(bed, "exit 0");
  CHECK(bed.wait_until_empty(20s));
  CHECK(fleet.log(kReleases).size() == 1);
  CHECK(metric(fleet, "pgforeman_braking") == "0");
  stop_cleanly(fleet);
}

TEST_CASE("One message that always fails does not slow the fleet down", "[handler]") {
  Bed bed;
  bed.send(1);
  Fleet fleet(bed.settings({{"HANDLER", program(bed, "exit 2")}, {"RETRY_BACKOFF", "1ms"}}));
  CHECK(eventually([&] { return bed.dead() == 1; }, 10s));
  CHECK(fleet.log(kBrakes).empty());
  // The backoff, which the brake would lengthen.
  CHECK(fleet.log("message failed, will be retried").at(0)["again_in"] == "about 1ms");
  stop_cleanly(fleet);
}

TEST_CASE("noop refuses a queue that has messages, unless NOOP_DISCARDS=yes", "[handler]") {
  Bed bed;
  bed.send(5);
  const Settings noop = bed.settings({{"HANDLER_MODE", "noop"}, {"HANDLER", ""}});
  {
    Fleet fleet(noop, Fleet::Wait::nothing);
    const auto ended = fleet.wait_end();
    REQUIRE(ended);
    CHECK(ended->code == 78);
    CHECK(fleet.log("the queue has messages, and HANDLER_MODE=noop would delete them unread")
              .size() == 1);
  }
  CHECK(bed.left() == 5);
  {
    Fleet fleet(with(noop, {{"NOOP_DISCARDS", "yes"}}));
    CHECK(bed.wait_until_empty(10s));
    stop_cleanly(fleet);
  }
  Fleet fleet(noop);
  bed.send(5);
  CHECK(bed.wait_until_empty(10s));
  stop_cleanly(fleet);
}

TEST_CASE("A bug during a message delays no other message", "[handler]") {
  Bed bed;
  const std::string path = program(
      bed,
      "while read -r line; do case $line in *bad*) exit 1;; esac; id=${line#*:}; id=${id%%,*}\n"
      "echo \"{\\\"id\\\":$id,\\\"status\\\":\\\"done\\\"}\"; done");
  bed.send(2, R"("bad")");
  bed.send(4);
  Fleet fleet(bed.settings({{"HANDLER", path},
                            {"HANDLER_MODE", "jsonl"},
                            {"CONCURRENCY", "1"},
                            {"RETRY_BACKOFF", "1h"},
                            {"RETRY_BACKOFF_MAX", "1h"}}));
  CHECK(eventually([&] { return bed.left() == 2; }, 5s));
  CHECK(fleet.log("the handler keeps failing at its start, the next message is delayed").empty());
  stop_cleanly(fleet);
}

TEST_CASE("Ctrl-C names the messages that still run, and a second one ends them", "[handler]") {
  Bed bed;
  bed.send(1, R"({"do": "hold"})");
  Fleet fleet(bed.settings());
  REQUIRE(bed.wait_for_runs(1));
  fleet.signal(SIGINT);
  const auto line = fleet.wait_for_log("handlers still run: interrupt again to end them now");
  REQUIRE(line);
  CHECK((*line)["messages"] == std::to_string(bed.runs().at(0).id));
  fleet.signal(SIGINT);
  const auto ended = fleet.wait_end(10s);
  REQUIRE(ended);
  CHECK(ended->code == 0);
}
