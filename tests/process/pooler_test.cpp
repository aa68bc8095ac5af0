// Behind PgBouncer. In transaction mode no client has a session of its own, and all of it works.

#include <algorithm>
#include <csignal>
#include <set>

#include "process/bed.h"
#include "support/pooler.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

constexpr const char* kPolls =
    "no wake-ups by notification: idle consumers poll every POLL_INTERVAL";

Settings behind(const Pooler& pooler, Bed& bed, const Settings& more = {}) {
  return bed.settings(with({{"DATABASE_URL", pooler.conninfo(bed.sql.query("select "
                                                                           "current_database()"))},
                            {"POLL_INTERVAL", "100ms"},
                            {"RETRY_BACKOFF", "10ms"}},
                           more));
}

}  // namespace

TEST_CASE("Behind a transaction pooler a fleet polls, and logs it once", "[pooler]") {
  Bed bed;
  const Pooler pooler(ThrowawayPostgres::shared());
  Fleet fleet(behind(pooler, bed, {{"HANDLER_MODE", "jsonl"}, {"BATCH", "10"}}));
  Watch watch(fleet.port());
  const auto children = children_of(fleet.pid());
  bed.send(3000);
  bed.send(20, R"({"do": "fail"})");
  bed.sql.query("select pgforeman.send('q', '1', delay => '300ms')");
  REQUIRE(bed.wait_for_runs(3000 + 20 * 5 + 1, 60s));
  CHECK(bed.wait_until_empty(10s));
  CHECK(bed.dead() == 20);
  CHECK(bed.runs().size() == 3101);
  // Nothing of a session's own stayed in the pool.
  Sql through(pooler.conninfo(bed.sql.query("select current_database()")));
  CHECK(through.query("show statement_timeout") == "0");
  CHECK(bed.sql.number("select count(*) from pg_locks where locktype = 'advisory'") == 0);
  // Maintenance was not replaced meanwhile, or the new one would have said it again.
  CHECK(fleet.log(kPolls).size() == 1);
  CHECK(children_of(fleet.pid()) == children);
  CHECK(watch.finish().problems.empty());
  stop_cleanly(fleet);
}

TEST_CASE("Behind a transaction pooler dead consumers are rescued and leases renewed", "[pooler]") {
  Bed bed;
  const Pooler pooler(ThrowawayPostgres::shared());
  bed.send(4, R"({"do": "hold"})");
  Fleet fleet(behind(pooler, bed, {{"VISIBILITY_TIMEOUT", "2s"}}));
  REQUIRE(bed.wait_for_runs(4));
  const double killed = wall_now();
  ::kill(fleet.status().slots[0].pid, SIGKILL);
  REQUIRE(bed.wait_for_runs(5));
  CHECK(bed.runs()[4].time - killed < allowed(1.0));
  REQUIRE(eventually([&] { return wall_now() - killed > 3; }));
  CHECK(bed.runs().size() == 5);
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  CHECK(fleet.status().messages.at("lost_lease") == 0);
  stop_cleanly(fleet);
}

TEST_CASE("Behind a pooler one idle consumer polls for all, and all get work", "[pooler]") {
  Bed bed;
  const Pooler pooler(ThrowawayPostgres::shared());
  Fleet fleet(behind(pooler, bed, {{"CONCURRENCY", "16"}, {"POLL_INTERVAL", "250ms"}}));
  REQUIRE(fleet.wait_for_log(kPolls));
  const double start = monotonic_now();
  std::set<std::string> claims;
  REQUIRE(eventually(
      [&] {
        for (const auto& row : bed.sql.rows(
                 "select pid, query_start from pg_stat_activity where datname = current_database()"
                 " and query like '%pgforeman.claim%' and state = 'idle'")) {
          claims.insert(row[0] + " " + row[1]);
        }
        return monotonic_now() - start > 4;
      },
      15s));
  const double rate = static_cast<double>(claims.size()) / (monotonic_now() - start);
  say("16 idle consumers behind a pooler look " + std::to_string(rate) +
      " times a second with POLL_INTERVAL=250ms");
  CHECK(rate > 2);   // or they are not counted
  CHECK(rate < 10);  // one polls 3.3 to 5 times, 16 do 64 times
  bed.send(16, R"({"do": "hold"})");
  CHECK(bed.wait_for_runs(16, 3s));
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  stop_cleanly(fleet);
}

TEST_CASE("Behind a session pooler a fleet works by polling too", "[pooler]") {
  Bed bed;
  const Pooler pooler(ThrowawayPostgres::shared(), "session");
  Fleet fleet(behind(pooler, bed));
  for (std::size_t i = 1; i <= 5; ++i) {
    const double sent = wall_now();
    bed.send();
    REQUIRE(bed.wait_for_runs(i));
    CHECK(bed.runs()[i - 1].time - sent < allowed(1.0));
  }
  CHECK(bed.wait_until_empty(10s));
  // By what the pooler shows it may be one that swaps sessions.
  CHECK(fleet.log(kPolls).size() == 1);
  stop_cleanly(fleet);
}

TEST_CASE("A pooler that dies is an outage like any other", "[pooler]") {
  Bed bed;
  Pooler pooler(ThrowawayPostgres::shared());
  Fleet fleet(behind(pooler, bed));
  const auto children = children_of(fleet.pid());
  for (std::size_t i = 1; i <= 3; ++i) {
    pooler.restart();
    bed.send();
    REQUIRE(bed.wait_for_runs(i));
  }
  CHECK(children_of(fleet.pid()) == children);
  REQUIRE(fleet.wait_ready());
  stop_cleanly(fleet);
}
