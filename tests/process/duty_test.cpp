// One message that the database refuses, one lock or one silent server stops nothing else.

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <optional>
#include <regex>

#include "bed.h"
#include "support/pooler.h"
#include "support/prometheus_text.h"

using namespace pgforeman::test;

namespace {

const std::string kStuck = "old.payload::jsonb ? 'stuck'";

}  // namespace

TEST_CASE("A lock on the dead letters holds up neither delays nor retries", "[duties]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}, {"RETRY_BACKOFF", "100ms"}}));
  REQUIRE(eventually([&] { return fleet.get("/readyz").status == 200; }, 10s));
  Sql other(bed.conninfo);
  other.query("begin; lock table pgforeman.dead_message in access exclusive mode");
  bed.sql.query("select pgforeman.send('q', '1', delay => '500 ms')");
  bed.send(1, R"({"do": "fail", "code": 3})");
  const double since = monotonic_now();
  CHECK(bed.wait_for_runs(3, 10s));
  say("P37 under a lock on the dead letters: a delay and a retry ran after " +
      std::to_string(monotonic_now() - since) + " s");
  CHECK(monotonic_now() - since < allowed(3.0));
  REQUIRE(fleet.wait_for_log("maintenance duty failed, will try again"));
  CHECK(eventually([&] {
    const auto ready = fleet.get("/readyz");
    return ready.status == 200 && ready.body.find("maintenance duty count") != std::string::npos;
  }));
  // What the next maintenance process does tells that the duty works again, not only this one.
  ::kill(fleet.status().maintenance.pid, SIGKILL);
  other.query("rollback");
  CHECK(eventually([&] { return fleet.get("/readyz").body == "ok"; }, 10s));
  stop_cleanly(fleet);
}

TEST_CASE("A message that cannot be claimed holds up no other", "[duties]") {
  const int stuck = GENERATE(1, 30);
  Bed bed;
  refuse_updates(bed.sql, kStuck);
  bed.send(stuck, R"({"stuck": 1})");
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}}), Fleet::Wait::port);
  // Nothing else is there: still it is named, and passed. (By a sweep, if one consumer had it
  // locked while the other passed the rest.)
  REQUIRE(eventually([&] {
    const auto lines = fleet.log();
    return std::any_of(lines.begin(), lines.end(), [](const LogLine& line) {
      return line.message.starts_with("message refused by the database") &&
             line["message_id"] == "1";
    });
  }));
  for (const std::size_t sent : {1U, 50U}) {
    const double since = monotonic_now();
    const auto before = bed.runs().size();
    bed.send(static_cast<int>(sent));
    CHECK(bed.wait_for_runs(before + sent, 15s));
    say("P28 beside " + std::to_string(stuck) +
        " messages that cannot be claimed: " + std::to_string(sent) + " others ran after " +
        std::to_string(monotonic_now() - since) + " s");
    CHECK(monotonic_now() - since < allowed(5.0));
  }
  CHECK(eventually([&] { return bed.left() == stuck; }));
  stop_cleanly(fleet);
}

TEST_CASE("A message that cannot be promoted holds up no other", "[duties]") {
  Bed bed;
  refuse_updates(bed.sql, kStuck);
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}}));
  bed.sql.query("select pgforeman.send('q', '{\"stuck\": 1}', delay => '100 ms')");
  REQUIRE(fleet.wait_for_log("message refused by the database, left out for some seconds"));
  for (const std::size_t runs : {1U, 2U}) {
    const double since = monotonic_now();
    bed.sql.query("select pgforeman.send('q', '1', delay => '100 ms')");
    CHECK(bed.wait_for_runs(runs, 5s));
    CHECK(monotonic_now() - since < allowed(2.0));
  }
  CHECK(sample(fleet.metrics(), "pgforeman_refused_messages_total{queue=\"q\",call=\"promote\"}") ==
        1);
  // It is not tried again and again meanwhile.
  CHECK(sample(fleet.metrics(), "pgforeman_duty_failures_total{queue=\"q\",duty=\"promote\"}") ==
        0);
  stop_cleanly(fleet);
}

TEST_CASE("A message that cannot be moved holds up no later one", "[duties]") {
  Bed bed;
  refuse_updates(bed.sql, "new.place <> old.place and " + kStuck);
  Fleet fleet(bed.settings({{"HANDLER_MODE", "jsonl"}}));
  Sql late(bed.conninfo);
  late.query("begin; select pgforeman.send('q', '{\"stuck\": 1}')");
  bed.send(20);
  REQUIRE(bed.wait_for_runs(20));
  late.query("commit; begin; select pgforeman.send('q', '2')");
  REQUIRE(fleet.wait_for_log("message refused by the database, left out for some seconds"));
  bed.send(20);
  REQUIRE(bed.wait_for_runs(40));
  const double since = monotonic_now();
  late.query("commit");
  CHECK(bed.wait_for_runs(41, 5s));
  CHECK(monotonic_now() - since < allowed(2.0));
  stop_cleanly(fleet);
}

TEST_CASE("Commits that hang in the server leave a fleet no more than twice its sessions",
          "[commits]") {
  ThrowawayPostgres server("max_connections = 60");
  Bed bed(server);
  bed.sql.query("set synchronous_commit = local");
  bed.sql.query("alter system set synchronous_standby_names = 'nobody'");
  bed.sql.query("select pg_reload_conf()");
  bed.send(200);
  constexpr int kConsumers = 4;
  const bool pooled = GENERATE(false, true);
  CAPTURE(pooled);
  std::optional<Pooler> pooler;
  Settings settings = bed.settings({{"CONCURRENCY", "4"}});
  if (pooled) {
    pooler.emplace(server);
    settings["DATABASE_URL"] = pooler->conninfo(bed.sql.query("select current_database()"));
  }
  Fleet fleet(settings, Fleet::Wait::port);
  std::int64_t most = 0;
  const double since = monotonic_now();
  // Each session is given up after 12 s: two or three of them would be there.
  CHECK(eventually(
      [&] {
        most = std::max(most, bed.sql.number("select count(*) from pg_stat_activity"
                                             " where application_name like 'pgforeman%'"));
        return monotonic_now() - since > 30;
      },
      40s));
  say(std::string("P35 after 30 s of hanging commits") + (pooled ? " behind PgBouncer" : "") +
      ": at most " + std::to_string(most) + " sessions of " + std::to_string(kConsumers) +
      " consumers and maintenance");
  CHECK(most <= 2 * (kConsumers + 1));
  bed.sql.query("alter system reset synchronous_standby_names");
  bed.sql.query("select pg_reload_conf()");
  CHECK(bed.wait_for_runs(200, 60s));
  CHECK(bed.wait_until_empty(20s));
  CHECK(distinct(bed.runs()) == bed.runs().size());
  CHECK(fleet.status().exits.empty());
  stop_cleanly(fleet);
}

TEST_CASE("A handler's deadline is kept while the server is silent", "[duties]") {
  Bed bed;
  Fleet fleet(bed.settings(
      {{"CONCURRENCY", "1"}, {"HANDLER_TIMEOUT", "3s"}, {"VISIBILITY_TIMEOUT", "2s"}}));
  bed.send(1, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(1));
  std::vector<pid_t> servers;
  for (const auto& row : bed.sql.rows("select pid from pg_stat_activity where application_name like"
                                      " 'pgforeman%' and datname = current_database()")) {
    servers.push_back(static_cast<pid_t>(std::stol(row[0])));
  }
  for (const pid_t server : servers) ::kill(server, SIGSTOP);
  const pid_t handler = bed.runs().at(0).pid;
  const bool ended = eventually([&] { return ::kill(handler, 0) != 0; }, 20s);
  const double after = wall_now() - bed.runs().at(0).time;
  for (const pid_t server : servers) ::kill(server, SIGCONT);
  REQUIRE(ended);
  say("P19 with a silent server HANDLER_TIMEOUT=3s ended the handler after " +
      std::to_string(after) + " s");
  CHECK(after < allowed(4.0));
}

TEST_CASE("A handler's deadline is kept while no name can be looked up and its session is lost",
          "[duties]") {
  Bed bed;
  Settings settings =
      bed.settings({{"CONCURRENCY", "1"}, {"HANDLER_TIMEOUT", "3s"}, {"VISIBILITY_TIMEOUT", "2s"}});
  const std::string sign = bed.folder.file("names-are-dead");
  settings["LD_PRELOAD"] = TEST_DEAD_NAMES_PATH;
  settings["DEAD_NAMES_FILE"] = sign;
  settings["DATABASE_URL"] =
      std::regex_replace(bed.conninfo, std::regex("host=[^ ]+"), "host=localhost");
  REQUIRE(settings["DATABASE_URL"] != bed.conninfo);
  Fleet fleet(settings);
  bed.send(1, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(1));
  bed.folder.write("names-are-dead", "");
  const std::string sessions =
      "from pg_stat_activity where application_name like 'pgforeman consumer%'"
      " and datname = current_database()";
  bed.sql.query("select count(pg_terminate_backend(pid)) " + sessions);
  const pid_t handler = bed.runs().at(0).pid;
  REQUIRE(eventually([&] { return ::kill(handler, 0) != 0; }, 20s));
  const double after = wall_now() - bed.runs().at(0).time;
  say("P19 with dead names HANDLER_TIMEOUT=3s ended the handler after " + std::to_string(after) +
      " s");
  CHECK(after < allowed(4.0));
  std::filesystem::remove(sign);
  stop_cleanly(fleet);
}
