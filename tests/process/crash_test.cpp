// Children that die are replaced, and what they held is not lost.

#include <poll.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "process/bed.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

/// What a process has open, without what differs from one to the other: "socket:[]", "/dev/null".
std::vector<std::string> descriptors_of(pid_t pid) {
  std::vector<std::string> all;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    std::error_code gone;
    std::string what = std::filesystem::read_symlink(entry.path(), gone).string();
    std::erase_if(what, [](char letter) { return letter >= '0' && letter <= '9'; });
    if (!gone) all.push_back(what);
  }
  std::sort(all.begin(), all.end());
  return all;
}

/// Sockets that both have open: a child that was forked while they were.
std::vector<std::string> shared_sockets(pid_t one, pid_t other) {
  std::vector<std::string> all, both;
  for (const pid_t pid : {one, other}) {
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
      std::error_code gone;
      const std::string what = std::filesystem::read_symlink(entry.path(), gone).string();
      if (what.rfind("socket:", 0) != 0) continue;
      if (pid == one) all.push_back(what);
      if (pid == other && std::count(all.begin(), all.end(), what) > 0) both.push_back(what);
    }
  }
  return both;
}

double resident_mib(pid_t pid) {
  for (const auto& line : read_lines("/proc/" + std::to_string(pid) + "/status")) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

bool all_waiting(const Status& status) {
  return std::all_of(status.slots.begin(), status.slots.end(),
                     [](const SlotStatus& slot) { return slot.phase == "waiting"; });
}

/// Reads /proc every 0.1 ms: seconds until the fleet has `count` children again, none of
/// them among `gone`. Negative when it does not within 5 s.
double time_until_replaced(const Fleet& fleet, std::size_t count, const std::vector<pid_t>& gone) {
  const double start = monotonic_now();
  for (double now = start; now - start < 5; now = monotonic_now()) {
    const auto children = children_of(fleet.pid());
    const bool old = std::any_of(children.begin(), children.end(), [&](pid_t pid) {
      return std::find(gone.begin(), gone.end(), pid) != gone.end();
    });
    if (children.size() == count && !old) return now - start;
    const timespec pause{0, 100'000};  // and leaves its processor to those it waits for
    ::ppoll(nullptr, 0, &pause, nullptr);
  }
  return -1;
}

}  // namespace

TEST_CASE("A healthy child that is killed is replaced within milliseconds", "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings());
  const auto descriptors = [&] { return descriptors_of(fleet.pid()).size(); };
  const auto at_first = descriptors();
  std::vector<double> trials, own;
  const int kills = repeated(100);
  for (int i = 0; i < kills; ++i) {
    REQUIRE(fleet.wait_for_status(all_waiting));
    const pid_t victim = fleet.status().slots.at(static_cast<std::size_t>(i % 4)).pid;
    const double waited = process_state(fleet.pid()).kept_waiting_seconds;
    ::kill(victim, SIGKILL);
    const double took = time_until_replaced(fleet, 5, {victim});
    REQUIRE(took >= 0);
    trials.push_back(took);
    // On a machine busy with other things a supervisor may wait for a processor.
    own.push_back(took - (process_state(fleet.pid()).kept_waiting_seconds - waited));
  }
  say("P1 killed child re-forked, " + std::to_string(kills) + " trials: " + in_ms(trials) +
      "; without waiting for a processor: " + in_ms(own));
  CHECK(figures(own).median <= allowed(0.010));
  CHECK(figures(own).worst <= allowed(0.100));
  CHECK(fleet.status().exits.at("signal") == kills);
  // A connection of ours that it has not yet seen to end is no leak.
  CHECK(eventually([&] { return descriptors() <= at_first; }));
  for (const pid_t child : children_of(fleet.pid())) CHECK(alive(child));  // no zombie
  stop_cleanly(fleet);
}

TEST_CASE("A fleet is back within a second after all its children were killed at once", "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "16"}}));
  std::vector<double> trials, ready;
  for (int i = 0; i < 5; ++i) {
    REQUIRE(fleet.wait_for_status(all_waiting));
    const auto victims = children_of(fleet.pid());
    REQUIRE(victims.size() == 17);
    const double start = monotonic_now();
    for (const pid_t victim : victims) ::kill(victim, SIGKILL);
    trials.push_back(time_until_replaced(fleet, 17, victims));
    REQUIRE(trials.back() >= 0);
    REQUIRE(fleet.wait_ready());
    ready.push_back(monotonic_now() - start);
  }
  say("P1 all 16 and maintenance killed, re-forked: " + in_ms(trials) +
      "; ready again: " + in_ms(ready));
  CHECK(figures(trials).worst <= 1.0);
  CHECK(figures(ready).worst <= 1.0);
  stop_cleanly(fleet);
}

TEST_CASE("Thousands of re-forks leave connections, memory and descriptors as they were",
          "[connections]") {
  constexpr int kChildren = 50;
  // 10,000 take a minute.
  const int wanted = number_from("PGFOREMAN_TEST_KILLS", 1000);
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", std::to_string(kChildren)}}));
  int faults = 0;
  const auto round = [&] {
    for (const pid_t victim : children_of(fleet.pid())) faults += ::kill(victim, SIGKILL) == 0;
    // A backend whose client was killed ends when it next reads.
    REQUIRE(eventually([&] {
      const auto rows = bed.sql.rows(
          "select count(*), count(distinct application_name) from pg_stat_activity"
          " where datname = current_database() and pid <> pg_backend_pid()"
          " and application_name like 'pgforeman %'");
      return rows[0] ==
             std::vector<std::string>{std::to_string(kChildren + 1), std::to_string(kChildren + 1)};
    }));
    REQUIRE(fleet.wait_for_status(all_waiting));
  };
  REQUIRE(fleet.wait_for_status(all_waiting));
  const auto child = descriptors_of(fleet.status().slots[0].pid);
  round();  // what is allocated once, is now
  const auto descriptors = [&] { return descriptors_of(fleet.pid()).size(); };
  const auto open_before = descriptors();
  const double memory_before = resident_mib(fleet.pid());
  while (faults < wanted) round();
  const double memory = resident_mib(fleet.pid());
  say("P33 " + std::to_string(faults) + " kills of a fleet of " + std::to_string(kChildren) + ": " +
      std::to_string(kChildren + 1) + " connections after each round, each with its name");
  say("P8 " + std::to_string(faults) + " re-forks: the supervisor's memory " +
      std::to_string(memory_before) + " MiB before, " + std::to_string(memory) + " MiB after; " +
      std::to_string(open_before) + " descriptors; a child's " + std::to_string(child.size()));
  CHECK(memory <= memory_before + 1);
  // A connection of ours that it has not yet seen to end is no leak.
  CHECK(eventually([&] { return descriptors() <= open_before; }));
  for (const auto& slot : fleet.status().slots) {
    CHECK(descriptors_of(slot.pid) == child);
    CHECK(shared_sockets(fleet.pid(), slot.pid).empty());
  }
  for (const pid_t one : children_of(fleet.pid())) CHECK(alive(one));  // no zombie
  stop_cleanly(fleet);
}

TEST_CASE("The message of a killed consumer runs again at once", "[crash]") {
  Bed bed;
  bed.hold_again();
  // One consumer runs the message, one gets it, one stays idle: without an idle one maintenance
  // polls, and finds a dead consumer's ledger without being woken for it.
  Fleet fleet(bed.settings({{"CONCURRENCY", "3"}, {"MAX_CRASHES", "1000"}}));
  std::vector<double> trials;
  bed.send(1, R"({"do": "hold"})");
  const auto kills = static_cast<std::size_t>(repeated(100));
  for (std::size_t i = 1; i <= kills; ++i) {
    REQUIRE(bed.wait_for_runs(i));
    pid_t busy = 0;
    REQUIRE(fleet.wait_for_status([&busy](const Status& s) {
      for (const auto& slot : s.slots) {
        if (slot.phase == "running") busy = slot.pid;
      }
      return busy != 0;
    }));
    // Nor does it sleep in the 100 ms after it has woken a consumer.
    const bool sleeps = i % 10 == 0;
    REQUIRE(eventually([&] { return !sleeps || wall_now() - bed.runs().back().time > 0.2; }));
    const double start = wall_now();
    ::kill(busy, SIGKILL);
    REQUIRE(bed.wait_for_runs(i + 1));
    trials.push_back(bed.runs().back().time - start);
    CHECK_FALSE(alive(bed.runs().at(i - 1).pid));
  }
  say("P2 its message running again, " + std::to_string(kills) + " trials: " + in_ms(trials));
  CHECK(figures(trials).median <= allowed(0.025));
  CHECK(figures(trials).worst <= allowed(0.250));
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  stop_cleanly(fleet);
}

TEST_CASE("A consumer killed in its batch costs a crash only to the message that ran", "[crash]") {
  Bed bed;
  bed.send(3);
  bed.send(1, R"({"do": "hold"})");
  bed.send(6);
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"BATCH", "10"}}));
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
    CHECK(run.attempt == 1);
  }
  stop_cleanly(fleet);
}

TEST_CASE("A message that kills its consumer becomes a dead letter, and the fleet works on",
          "[crash]") {
  Bed bed;
  Fleet fleet(bed.settings({{"MAX_CRASHES", "4"}}));
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

TEST_CASE("Killed maintenance is replaced, and messages go on", "[crash]") {
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

TEST_CASE("A message that cannot be rescued delays neither its batch nor other duties", "[crash]") {
  Bed bed;
  bed.sql.query(
      "create function refuse() returns trigger language plpgsql as"
      " $$ begin raise exception 'not this one' using errcode = '42501'; end $$;"
      " create trigger refuse before update on pgforeman.message for each row"
      " when (old.id = 1 and old.token <> 0 and new.token = 0) execute function refuse()");
  bed.send(4, R"({"do": "hold"})");
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"BATCH", "10"}, {"VISIBILITY_TIMEOUT", "60s"}}));
  REQUIRE(bed.wait_for_runs(1));
  ::kill(fleet.status().slots[0].pid, SIGKILL);
  const auto line = fleet.wait_for_log("message not settled, it waits for VISIBILITY_TIMEOUT");
  REQUIRE(line);
  CHECK_THAT((*line)["reason"], contains("not this one"));
  bed.go();
  CHECK(eventually([&] { return bed.left() == 1; }));  // the others, by the next child
  CHECK(bed.sql.number("select id from pgforeman.message") == 1);
  bed.sql.query("select pgforeman.send('q', '1', delay => '10ms')");
  CHECK(eventually([&] { return bed.left() == 1; }));  // promoted, and run
  CHECK(fleet.log("message not settled, it waits for VISIBILITY_TIMEOUT").size() == 1);
  CHECK(fleet.status().exits.size() == 1);
  stop_cleanly(fleet);
}

TEST_CASE("Locked messages of dead consumers do not delay other rescues", "[crash]") {
  constexpr std::size_t kLocked = 8;
  Bed bed;
  bed.send(kLocked + 1, R"({"do": "hold"})");
  Fleet fleet(bed.settings({{"CONCURRENCY", "9"}, {"VISIBILITY_TIMEOUT", "60s"}}));
  REQUIRE(bed.wait_for_runs(kLocked + 1));
  const auto slots = fleet.status().slots;
  Sql somebody(bed.conninfo);
  somebody.query("begin; select * from pgforeman.message where id <> " +
                 std::to_string(slots[kLocked].message_id) + " for update");
  for (std::size_t i = 0; i < kLocked; ++i) ::kill(slots[i].pid, SIGKILL);
  REQUIRE(eventually([&] { return fleet.log("rescue deferred").size() >= kLocked; }));
  const double killed = wall_now();
  ::kill(slots[kLocked].pid, SIGKILL);
  REQUIRE(bed.wait_for_runs(kLocked + 2));
  CHECK(bed.runs()[kLocked + 1].id == slots[kLocked].message_id);
  CHECK(bed.runs()[kLocked + 1].time - killed < allowed(1.0));
  somebody.query("commit");
  REQUIRE(bed.wait_for_runs(2 * (kLocked + 1)));
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  stop_cleanly(fleet);
}

TEST_CASE("A locked row delays neither its consumer nor its batch, and is settled later",
          "[crash]") {
  Bed bed;
  bed.send(1, R"({"do": "hold"})");
  bed.send(9);
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"BATCH", "10"}, {"VISIBILITY_TIMEOUT", "60s"}}));
  REQUIRE(bed.wait_for_runs(1));
  Sql somebody(bed.conninfo);
  somebody.query("begin; select * from pgforeman.message where id = 1 for update");
  bed.go();
  const auto line = fleet.wait_for_log("messages not settled yet, their rows are locked");
  REQUIRE(line);
  CHECK((*line)["messages"] == "1");
  CHECK(eventually([&] { return bed.left() == 1; }));
  // More batches while it waits.
  for (int i = 0; i < 3; ++i) {
    bed.send(20);
    CHECK(eventually([&] { return bed.left() == 1; }));
  }
  CHECK(fleet.get("/readyz").status == 200);
  somebody.query("commit");
  CHECK(bed.wait_until_empty(20s));
  CHECK(bed.runs().size() == 70);
  CHECK(fleet.wait_for_status([](const Status& s) { return s.messages.at("done") == 70; }));
  CHECK(fleet.log("database session failed, will keep trying").empty());
  stop_cleanly(fleet);
}

TEST_CASE("Maintenance settles a locked message after its consumer died", "[crash]") {
  Bed bed;
  bed.send(1, R"({"do": "hold"})");
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"VISIBILITY_TIMEOUT", "60s"}}));
  REQUIRE(bed.wait_for_runs(1));
  Sql somebody(bed.conninfo);
  somebody.query("begin; select * from pgforeman.message where id = 1 for update");
  bed.go();
  REQUIRE(fleet.wait_for_log("messages not settled yet, their rows are locked"));
  bed.hold_again();
  bed.send(1, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(2));
  ::kill(fleet.status().slots[0].pid, SIGKILL);
  REQUIRE(bed.wait_for_runs(3));  // the one that ran, at once
  CHECK(bed.runs()[2].id == 2);
  REQUIRE(fleet.wait_for_log("rescue deferred"));
  somebody.query("commit");
  CHECK(eventually([&] { return bed.left() == 1; }));
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  CHECK(bed.runs().size() == 3);
  CHECK(fleet.wait_for_status([](const Status& s) { return s.messages.at("done") == 2; }));
  const auto messages = fleet.status().messages;
  CHECK(messages.at("retry") == 1);
  CHECK(messages.at("lost_lease") == 0);
  stop_cleanly(fleet);
}

TEST_CASE("A message that the database refuses to settle delays neither its batch nor its consumer",
          "[crash]") {
  Bed bed;
  // The last two are also how a missing right, or a missing schema, is known.
  const auto error = GENERATE(as<std::string>{}, "22023", "42501", "42883");
  bed.sql.query(
      "create function refuse() returns trigger language plpgsql as"
      " $$ begin raise exception 'not here' using errcode = '" +
      error +
      "'; end $$;"
      " create trigger refuse before insert on pgforeman.dead_message for each row"
      " execute function refuse()");
  bed.send(1, R"({"do": "fail", "code": 65})");
  bed.send(50);
  Fleet fleet(
      bed.settings({{"CONCURRENCY", "1"}, {"BATCH", "100"}, {"VISIBILITY_TIMEOUT", "60s"}}));
  const auto line = fleet.wait_for_log("message not settled, it waits for VISIBILITY_TIMEOUT");
  REQUIRE(line);
  CHECK((*line)["message_id"] == "1");
  CHECK_THAT((*line)["reason"], contains("not here"));
  CHECK(eventually([&] { return bed.left() == 1; }));
  bed.send(5);
  CHECK(eventually([&] { return bed.runs().size() == 56 && bed.left() == 1; }));
  CHECK(fleet.log("database session failed, will keep trying").empty());
  stop_cleanly(fleet);
}
