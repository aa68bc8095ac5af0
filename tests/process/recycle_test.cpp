// Children that handled or hold enough are replaced by plan, at no message's cost.

#include <algorithm>
#include <csignal>

#include "process/bed.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

// More than a consumer and a handler have to begin with, also with sanitizers.
const std::string kLimit = "300MiB";
const std::string kLeak = R"({"do": "leak", "mib": 120})";

/// By /status: has no process, or one that cannot work now.
bool missing(const SlotStatus& slot) {
  return slot.pid == 0 || !slot.connected || slot.phase == "booting" || slot.phase == "draining" ||
         slot.phase == "connecting";
}

bool all_there(const Status& status) {
  return std::none_of(status.slots.begin(), status.slots.end(),
                      [](const SlotStatus& slot) { return missing(slot); });
}

std::int64_t recycled(const Status& status) {
  const auto found = status.exits.find("recycled");
  return found == status.exits.end() ? 0 : found->second;
}

/// Each of `count` messages ran once, as its first attempt.
void check_ran_once(const Bed& bed, std::size_t count) {
  const auto runs = bed.runs();
  CHECK(runs.size() == count);
  CHECK(distinct(runs) == count);
  CHECK(std::all_of(runs.begin(), runs.end(), [](const Run& run) { return run.attempt == 1; }));
}

}  // namespace

TEST_CASE("2,000 messages through 8 children that each handle some 50", "[recycle]") {
  const bool alone = GENERATE(false, true);
  const std::size_t messages = alone ? 250 : 2000;
  Bed bed;
  Fleet fleet(bed.settings({{"HANDLER_MODE", "jsonl"},
                            {"CONCURRENCY", alone ? "1" : "8"},
                            {"BATCH", "3"},
                            {"MAX_MESSAGES", "50"}}));
  REQUIRE(fleet.wait_for_status(
      [](const Status& status) { return all_there(status) && status.maintenance.connected; }));
  Watch watch(fleet.port());
  bed.send(static_cast<int>(messages), R"({"do": "sleep", "ms": 5})");
  REQUIRE(bed.wait_until_empty(60s));
  check_ran_once(bed, messages);
  // What reached its limit is replaced, also when there is nothing more to do.
  REQUIRE(fleet.wait_for_status([](const Status& status) {
    return all_there(status) &&
           std::all_of(status.slots.begin(), status.slots.end(),
                       [](const SlotStatus& slot) { return slot.last_cause == "recycled"; });
  }));
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.livez == std::vector<int>{200});
  CHECK(seen.readyz == std::vector<int>{200});
  // The last may still be on their way out.
  const std::string reached_text = "child reached its limit, it ends and is replaced";
  CHECK(eventually([&] {
    return static_cast<std::int64_t>(fleet.log(reached_text).size()) == recycled(fleet.status());
  }));
  CHECK(eventually([&] {
    const auto metrics = fleet.metrics();
    return metrics.find("pgforeman_child_exits_total{cause=\"recycled\"} " +
                        std::to_string(recycled(fleet.status()))) != std::string::npos;
  }));
  const auto status = fleet.status();
  CHECK(status.exits == std::map<std::string, std::int64_t>{{"recycled", recycled(status)}});
  CHECK(status.messages.at("done") == static_cast<std::int64_t>(messages));
  CHECK(status.messages.at("retry") + status.messages.at("dead") == 0);
  for (const auto& line : fleet.log("child ended")) {
    CHECK(line.level == "info");
    CHECK(line["cause"] == "recycled");
    CHECK(line["restart_in_ms"] == "0");
    CHECK(line["explain"].find("MAX_MESSAGES: handled ") != std::string::npos);
  }
  const auto reached = fleet.log(reached_text);
  CHECK(static_cast<std::int64_t>(reached.size()) == recycled(status));
  for (const auto& line : reached) {
    CHECK(line["option"] == "MAX_MESSAGES");
    CHECK(std::stoi(line["limit"]) >= 45);
    CHECK(std::stoi(line["limit"]) <= 50);
    CHECK(line["value"] == line["limit"]);
  }
  say("recycling: " + std::to_string(recycled(status)) + " children in " +
      std::to_string(messages) + " messages");
  stop_cleanly(fleet);
}

TEST_CASE("A jsonl handler that leaks is replaced with its child, also behind a shell",
          "[recycle]") {
  const bool shell = GENERATE(false, true);
  Bed bed;
  Settings settings =
      bed.settings({{"HANDLER_MODE", "jsonl"}, {"CONCURRENCY", "1"}, {"MAX_MEMORY", kLimit}});
  if (shell) settings["HANDLER"] = "sh -c '" + bed.handler("jsonl") + "; true'";
  Fleet fleet(settings);
  // One that does not leak stays: the first message is always followed by a measurement.
  bed.send();
  REQUIRE(bed.wait_until_empty(10s));
  bed.send(3, kLeak);
  REQUIRE(fleet.wait_for_status([](const Status& status) { return recycled(status) == 1; }));
  REQUIRE(fleet.wait_for_status(all_there));
  bed.send();
  REQUIRE(bed.wait_until_empty(10s));
  check_ran_once(bed, 5);
  const auto runs = bed.runs();
  CHECK(runs.front().pid == runs[3].pid);
  CHECK(runs.front().pid != runs.back().pid);
  CHECK_FALSE(alive(runs.front().pid));
  const auto status = fleet.status();
  CHECK(status.exits == std::map<std::string, std::int64_t>{{"recycled", 1}});
  CHECK(status.slots[0].last_explain.find("MAX_MEMORY: ") != std::string::npos);
  const auto line = fleet.wait_for_log("child reached its limit, it ends and is replaced");
  REQUIRE(line);
  CHECK((*line)["option"] == "MAX_MEMORY");
  CHECK((*line)["limit"] == std::to_string(300 << 20U));
  CHECK(std::stoll((*line)["value"]) >= 360 << 20U);
  stop_cleanly(fleet);
}

TEST_CASE("MAX_MEMORY does not count the memory of an exec handler", "[recycle]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"MAX_MEMORY", kLimit}, {"MAX_MESSAGES", "3"}}));
  bed.send(3, R"({"do": "leak", "mib": 400})");
  REQUIRE(fleet.wait_for_status([](const Status& status) { return recycled(status) == 1; }));
  // It was measured after the first message; the third reached the other limit.
  CHECK(fleet.status().slots[0].last_explain == "exited with code 0: MAX_MESSAGES: handled 3");
  check_ran_once(bed, 3);
  stop_cleanly(fleet);
}

TEST_CASE("A recycled child finishes its message after any grace, and releases the others",
          "[recycle]") {
  Bed bed;
  bed.send(1, R"({"do": "hold"})");
  bed.send(2);
  Fleet fleet(bed.settings(
      {{"CONCURRENCY", "1"}, {"BATCH", "3"}, {"MAX_MESSAGES", "1"}, {"SHUTDOWN_GRACE", "500ms"}}));
  REQUIRE(bed.wait_for_runs(1));
  const pid_t child = fleet.status().slots.at(0).pid;
  const double since = monotonic_now();
  // Past the grace and what is added to it before a draining child is killed.
  REQUIRE(eventually([&] { return monotonic_now() - since > 2; }));
  CHECK(alive(child));
  CHECK(bed.left() == 3);
  bed.go();
  REQUIRE(bed.wait_until_empty(10s));
  REQUIRE(fleet.wait_for_status([](const Status& s) { return recycled(s) == 3; }));
  check_ran_once(bed, 3);
  const auto status = fleet.status();
  CHECK(status.exits == std::map<std::string, std::int64_t>{{"recycled", 3}});
  // Two by the first child, one by the second.
  CHECK(status.messages.at("released") == 3);
  stop_cleanly(fleet);
}

TEST_CASE("Children recycled while PostgreSQL restarts lose no message and run none twice",
          "[recycle]") {
  constexpr std::size_t kMessages = 600;
  Bed bed;
  Fleet fleet(bed.settings(
      {{"HANDLER_MODE", "jsonl"}, {"CONCURRENCY", "4"}, {"BATCH", "5"}, {"MAX_MESSAGES", "10"}}));
  REQUIRE(fleet.wait_for_status(all_there));
  bed.send(kMessages, R"({"do": "sleep", "ms": 5})");
  auto& server = ThrowawayPostgres::shared();
  for (const std::int64_t children : {5, 20, 35}) {
    REQUIRE(
        fleet.wait_for_status([&](const Status& status) { return recycled(status) >= children; }));
    server.stop_fast();
    server.start();
  }
  Sql sql(bed.conninfo);
  REQUIRE(
      eventually([&] { return sql.number("select count(*) from pgforeman.message") == 0; }, 60s));
  check_ran_once(bed, kMessages);
  REQUIRE(fleet.wait_for_status(all_there));
  const auto status = fleet.status();
  CHECK(status.exits == std::map<std::string, std::int64_t>{{"recycled", recycled(status)}});
  CHECK(recycled(status) >= 50);
  stop_cleanly(fleet);
}

TEST_CASE("HUP sets and removes the limits of recycling", "[recycle]") {
  Bed bed;
  Settings settings = bed.settings({{"CONCURRENCY", "1"}, {"HANDLER_MODE", "jsonl"}});
  settings["CONFIG"] = bed.folder.write("pgforeman.conf", "MAX_MESSAGES=0\n");
  Fleet fleet(settings);
  const auto reload = [&](const std::string& text, std::int64_t drained) {
    bed.folder.write("pgforeman.conf", text);
    fleet.signal(SIGHUP);
    REQUIRE(fleet.wait_for_status([&](const Status& status) {
      const auto found = status.exits.find("drained");
      return found != status.exits.end() && found->second == drained && all_there(status) &&
             status.maintenance.connected;
    }));
  };
  bed.send(20);
  REQUIRE(bed.wait_until_empty(10s));
  reload("MAX_MESSAGES=5\n", 2);
  CHECK(recycled(fleet.status()) == 0);
  bed.send(5);
  REQUIRE(fleet.wait_for_status([](const Status& status) { return recycled(status) == 1; }));
  REQUIRE(fleet.wait_for_status(all_there));
  reload("MAX_MEMORY=" + kLimit + "\n", 4);
  bed.send(20);
  REQUIRE(bed.wait_until_empty(10s));
  CHECK(recycled(fleet.status()) == 1);
  bed.send(3, kLeak);
  REQUIRE(fleet.wait_for_status([](const Status& status) { return recycled(status) == 2; }));
  check_ran_once(bed, 48);
  stop_cleanly(fleet);
}

TEST_CASE("MAX_MESSAGES=-1 and MAX_MEMORY=512M are rejected at startup", "[recycle]") {
  const auto result =
      run_command({"run", "--max-messages=-1"}, {{"HANDLER", "/bin/true"},
                                                 {"HEALTH_PORT", "0"},
                                                 {"DATABASE_URL", "host=127.0.0.1 port=1"},
                                                 {"MAX_MEMORY", "512M"}});
  INFO(result.err);
  CHECK(result.code == 78);
  CHECK(result.err.find("--max-messages=-1: must be a whole number from 0 to 1000000000") !=
        std::string::npos);
  CHECK(
      result.err.find("PGFOREMAN_MAX_MEMORY=512M: does not end in a unit of KiB, MiB or GiB; must "
                      "be 0, or 32MiB to 1024GiB in bytes") != std::string::npos);
}
