// Messages are handled: each once when nothing fails, each at least once when children die.

#include <poll.h>

#include <csignal>
#include <map>
#include <random>

#include "process/bed.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

/// Kills a random consumer every 0.3 to 1 s until the queue is empty; how many it killed.
int kill_at_random(Fleet& fleet, Bed& bed, std::chrono::milliseconds limit) {
  std::minstd_rand random{std::random_device{}()};
  int kills = 0;
  const double end = monotonic_now() + std::chrono::duration<double>(limit).count();
  while (monotonic_now() < end) {
    const auto pause = std::chrono::milliseconds(300 + random() % 700);
    if (bed.wait_until_empty(pause)) return kills;
    const auto slots = fleet.status().slots;
    const pid_t victim = slots[random() % slots.size()].pid;
    if (victim > 0 && ::kill(victim, SIGKILL) == 0) ++kills;
  }
  return -1;
}

void each_handled_exactly_once(const std::string& mode, int count, const Settings& more) {
  Bed bed;
  bed.send(count);
  Settings settings = more;
  settings["HANDLER_MODE"] = mode;
  const double start = monotonic_now();
  Fleet fleet(bed.settings(settings));
  Watch watch(fleet.port());
  REQUIRE(bed.wait_until_empty(120s));
  const double took = monotonic_now() - start;
  const auto runs = bed.runs();
  CHECK(runs.size() == static_cast<std::size_t>(count));
  CHECK(distinct(runs) == static_cast<std::size_t>(count));
  CHECK(bed.dead() == 0);
  CHECK(fleet.wait_for_status([&](const Status& s) { return s.messages.at("done") == count; }));
  CHECK(fleet.status().exits.empty());
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  say(std::to_string(count) + " messages through " + mode + " in " + std::to_string(took) +
      " s, each once; " + seen.text());
  stop_cleanly(fleet);
}

void none_lost_to_kills(const std::string& mode, int count, const Settings& more) {
  Bed bed;
  bed.send(count, R"({"do": "sleep", "ms": 2})");
  Settings settings = more;
  settings["HANDLER_MODE"] = mode;
  settings["RETRY_BACKOFF"] = "10ms";
  settings["MAX_CRASHES"] = "100";
  Fleet fleet(bed.settings(settings));
  Watch watch(fleet.port());
  const int kills = kill_at_random(fleet, bed, 120s);
  REQUIRE(kills > 0);
  const auto runs = bed.runs();
  const auto extra = runs.size() - static_cast<std::size_t>(count);
  say(std::to_string(count) + " messages through " + mode + " with " + std::to_string(kills) +
      " children killed: none lost, " + std::to_string(extra) + " run again");
  CHECK(distinct(runs) == static_cast<std::size_t>(count));
  CHECK(bed.dead() == 0);
  // A dead child's running message runs again, and nothing else does.
  CHECK(extra <= static_cast<std::size_t>(kills));
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.livez == std::vector<int>{200});
  CHECK(fleet.status().exits.at("signal") == kills);
  stop_cleanly(fleet);
}

}  // namespace

TEST_CASE("2,000 messages through exec are each handled exactly once", "[work]") {
  each_handled_exactly_once("exec", repeated(2000), {});
}

TEST_CASE("20,000 messages through jsonl are each handled exactly once", "[work]") {
  each_handled_exactly_once("jsonl", repeated(20000), {{"BATCH", "10"}});
}

TEST_CASE("20,000 messages in automatic batches are each handled exactly once", "[work]") {
  each_handled_exactly_once("jsonl", repeated(20000), {});
}

TEST_CASE("An automatic batch grows with brief messages, and is released behind a slow one",
          "[work]") {
  Bed bed;
  bed.sql.query(
      "select count(*) from pgforeman.send_batch('q', array_fill('{}'::jsonb, array[3000])"
      " || '{\"do\": \"hold\"}'::jsonb || array_fill('{}'::jsonb, array[3000]))");
  Fleet fleet(bed.settings({{"HANDLER_MODE", "jsonl"}, {"CONCURRENCY", "2"}}));
  REQUIRE(bed.wait_for_runs(6001, 60s));
  REQUIRE(eventually([&] { return bed.left() == 1; }));
  CHECK(bed.sql.number("select id from pgforeman.message") == 3001);
  const auto slots = fleet.status().slots;
  CHECK(std::max(slots[0].batch, slots[1].batch) > 1);  // its holder had asked for more
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  CHECK(bed.runs().size() == 6001);
  for (const auto& run : bed.runs()) REQUIRE(run.attempt == 1);
  stop_cleanly(fleet);
}

TEST_CASE("Done messages of a batch are settled while the next one runs", "[work]") {
  Bed bed;
  bed.sql.query(
      "select count(*) from pgforeman.send_batch('q', array_fill('{}'::jsonb, array[50])"
      " || '{\"do\": \"hold\"}'::jsonb)");
  Fleet fleet(bed.settings({{"HANDLER_MODE", "jsonl"}, {"CONCURRENCY", "1"}, {"BATCH", "100"}}));
  REQUIRE(bed.wait_for_runs(51));
  CHECK(eventually([&] { return bed.left() == 1; }));
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  stop_cleanly(fleet);
}

TEST_CASE("When messages turn slow the rest of a batch goes to siblings, urgent ones first",
          "[work]") {
  Bed bed;
  bed.sql.query(
      "select count(*) from pgforeman.send_batch('q', array_fill('{}'::jsonb, array[3000])"
      " || array_fill('{\"do\": \"sleep\", \"ms\": 100}'::jsonb, array[40]))");
  Fleet fleet(bed.settings({{"HANDLER_MODE", "jsonl"}, {"CONCURRENCY", "4"}}));
  REQUIRE(bed.wait_for_runs(3001, 60s));
  bed.sql.query("select pgforeman.send('q', '{\"urgent\": 1}', priority => 0)");
  const double sent = wall_now();
  REQUIRE(bed.wait_for_runs(3041, 60s));
  CHECK(bed.wait_until_empty(10s));
  const auto runs = bed.runs();
  CHECK(runs.size() == 3041);
  std::map<pid_t, int> slow;
  for (const auto& run : runs) {
    if (run.id == 3041) CHECK(run.time - sent < allowed(0.7));
    if (run.id > 3000 && run.id <= 3040) ++slow[run.pid];
  }
  // Each of four ran about ten.
  CHECK(slow.size() == 4);
  for (const auto& [pid, count] : slow) CHECK(count <= 20);
  stop_cleanly(fleet);
}

TEST_CASE("An automatic batch leaves a short queue to idle siblings", "[work]") {
  Bed bed;
  bed.send(400);  // brief ones, so that batches would grow
  Fleet fleet(bed.settings({{"HANDLER_MODE", "jsonl"}, {"CONCURRENCY", "4"}}));
  REQUIRE(bed.wait_for_runs(400));
  CHECK(bed.wait_until_empty(10s));
  bed.send(4, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(404));
  const auto runs = bed.runs();
  std::set<pid_t> handlers;
  for (auto run = runs.end() - 4; run != runs.end(); ++run) handlers.insert(run->pid);
  CHECK(handlers.size() == 4);
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  stop_cleanly(fleet);
}

TEST_CASE("With noop a fleet empties its queue without a handler", "[work]") {
  Bed bed;
  bed.send(5000);
  Fleet fleet(bed.settings(
      {{"HANDLER_MODE", "noop"}, {"NOOP_DISCARDS", "yes"}, {"HANDLER", ""}, {"BATCH", "50"}}));
  REQUIRE(bed.wait_until_empty(60s));
  CHECK(bed.dead() == 0);
  CHECK(bed.runs().empty());
  CHECK(fleet.wait_for_status([](const Status& s) { return s.messages.at("done") == 5000; }));
  stop_cleanly(fleet);
}

TEST_CASE("A child killed at random loses no message through exec", "[kills]") {
  none_lost_to_kills("exec", repeated(2000, 2), {});
}

TEST_CASE("A child killed at random loses no message through jsonl in batches", "[kills]") {
  none_lost_to_kills("jsonl", repeated(10000, 2), {{"BATCH", "10"}});
}

TEST_CASE("A message sent to an idle fleet is handled within the poll interval", "[work]") {
  Bed bed;
  Fleet fleet(bed.settings({{"POLL_INTERVAL", "1s"}}));
  REQUIRE(fleet.wait_for_status([](const Status& status) {
    for (const auto& slot : status.slots) {
      if (slot.phase != "waiting") return false;
    }
    return true;
  }));
  const double sent = monotonic_now();
  bed.send();
  CHECK(bed.wait_until_empty(10s));
  CHECK(monotonic_now() - sent < 1.5);
  stop_cleanly(fleet);
}

TEST_CASE("An idle fleet costs next to nothing", "[work]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "8"}}));
  const auto cpu = [&] {
    double sum = 0;
    for (const pid_t pid : fleet.processes()) sum += process_state(pid).cpu_seconds;
    return sum;
  };
  REQUIRE(eventually([&] { return fleet.processes().size() == 10; }));
  const double before = cpu();
  const double start = monotonic_now();
  REQUIRE(eventually([&] { return monotonic_now() - start > 4; }));
  const double share = (cpu() - before) / (monotonic_now() - start);
  say("an idle fleet of 8 takes " + std::to_string(share * 100) + " % of a core");
  CHECK(share < 0.05);
  stop_cleanly(fleet);
}
