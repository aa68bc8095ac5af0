// PostgreSQL goes and comes back: no process is killed for it, and work goes on.

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "process/bed.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

struct Outage {
  std::string name;
  void (ThrowawayPostgres::*end)();
  std::chrono::milliseconds lasts;
};

const std::vector<Outage>& outages() {
  static const std::vector<Outage> all = {
      {"restarted", &ThrowawayPostgres::stop_fast, 0ms},
      {"killed", &ThrowawayPostgres::kill9, 0ms},
      {"gone", &ThrowawayPostgres::stop_fast,
       std::chrono::seconds(number_from("PGFOREMAN_TEST_OUTAGE_SECONDS", 6))},
  };
  return all;
}

/// Ends the server, waits until the fleet has noticed and the outage is over, starts it. When it
/// accepts connections again, in the fleet's own time.
double suffer(const Outage& outage, const Watch& watch) {
  auto& server = ThrowawayPostgres::shared();
  const double start = monotonic_now();
  (server.*outage.end)();
  REQUIRE(eventually([&] { return watch.report().readyz.back() == 503; }));
  REQUIRE(eventually(
      [&] { return monotonic_now() - start > std::chrono::duration<double>(outage.lasts).count(); },
      outage.lasts + 20s));
  server.start();
  return monotonic_now();
}

void check_calm(const Fleet& fleet, Watch& watch, const std::vector<pid_t>& children) {
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.livez == std::vector<int>{200});
  CHECK(seen.readyz == std::vector<int>{200, 503, 200});
  // Short outages have too few probes for a percentile.
  if (std::getenv("PGFOREMAN_TEST_OUTAGE_SECONDS") != nullptr) {
    CHECK(seen.percentile_ms(0.99) < 1000 * allowed(0.050));
  }
  CHECK(seen.worst_ms() < 1000 * allowed(0.5));
  CHECK(children_of(fleet.pid()) == children);
  CHECK(fleet.status().exits.empty());
}

}  // namespace

TEST_CASE("An idle fleet survives a PostgreSQL outage and works within a second of its end",
          "[outage]") {
  for (const auto& outage : outages()) {
    INFO(outage.name);
    Bed bed;
    Fleet fleet(bed.settings());
    Watch watch(fleet.port());
    const auto children = children_of(fleet.pid());
    REQUIRE(eventually([&] { return watch.report().readyz == std::vector<int>{200}; }));
    const double back = suffer(outage, watch);
    Sql(bed.conninfo).query("select pgforeman.send('q', '{}')");
    REQUIRE(bed.wait_for_runs(1));
    const double took = monotonic_now() - back;
    say("P30 idle, PostgreSQL " + outage.name + ": a message ran " + std::to_string(took) +
        " s after it was back");
    CHECK(took <= 1.0);
    REQUIRE(fleet.wait_ready());
    REQUIRE(eventually([&] { return watch.report().readyz.back() == 200; }));
    check_calm(fleet, watch, children);
    stop_cleanly(fleet);
  }
}

TEST_CASE("A busy fleet survives a PostgreSQL outage, and its handlers run on", "[outage]") {
  for (const auto& outage : outages()) {
    INFO(outage.name);
    Bed bed;
    bed.send(4, R"({"do": "hold"})");
    const auto lease = std::chrono::duration_cast<std::chrono::seconds>(outage.lasts).count() + 30;
    Fleet fleet(bed.settings({{"VISIBILITY_TIMEOUT", std::to_string(lease) + "s"}}));
    Watch watch(fleet.port());
    REQUIRE(bed.wait_for_runs(4));
    bed.send(200);
    const auto children = children_of(fleet.pid());
    REQUIRE(eventually([&] { return watch.report().readyz == std::vector<int>{200}; }));
    const double back = suffer(outage, watch);
    // Two end while the session is being opened again, the others were not ended.
    for (const auto& run : bed.runs()) CHECK(alive(run.pid));
    bed.go();
    REQUIRE(bed.wait_for_runs(5));
    const double took = monotonic_now() - back;
    say("P30 busy, PostgreSQL " + outage.name + ": the next message ran " + std::to_string(took) +
        " s after it was back");
    CHECK(took <= 1.0);
    Sql sql(bed.conninfo);
    REQUIRE(
        eventually([&] { return sql.number("select count(*) from pgforeman.message") == 0; }, 30s));
    CHECK(bed.runs().size() == 204);
    CHECK(distinct(bed.runs()) == 204);
    REQUIRE(fleet.wait_ready());
    REQUIRE(eventually([&] { return watch.report().readyz.back() == 200; }));
    check_calm(fleet, watch, children);
    stop_cleanly(fleet);
  }
}

TEST_CASE("Handlers that end while PostgreSQL is away are not run again", "[outage]") {
  Bed bed;
  bed.send(4, R"({"do": "hold"})");
  Fleet fleet(bed.settings());
  Watch watch(fleet.port());
  REQUIRE(bed.wait_for_runs(4));
  auto& server = ThrowawayPostgres::shared();
  server.kill9();
  bed.go();
  REQUIRE(eventually([&] {
    const auto runs = bed.runs();
    return std::none_of(runs.begin(), runs.end(), [](const Run& run) { return alive(run.pid); });
  }));
  REQUIRE(fleet.wait_for_status([](const Status& status) {
    return std::all_of(status.slots.begin(), status.slots.end(),
                       [](const SlotStatus& slot) { return slot.phase == "connecting"; });
  }));
  server.start();
  Sql sql(bed.conninfo);
  REQUIRE(eventually([&] { return sql.number("select count(*) from pgforeman.message") == 0; }));
  CHECK(bed.runs().size() == 4);
  CHECK(fleet.wait_for_status([](const Status& s) { return s.messages.at("done") == 4; }));
  CHECK(watch.finish().problems.empty());
  stop_cleanly(fleet);
}

TEST_CASE("A finished but unsettled message does not run again when its consumer dies",
          "[outage]") {
  Bed bed;
  bed.send(4, R"({"do": "hold"})");
  Fleet fleet(bed.settings());
  REQUIRE(bed.wait_for_runs(4));
  auto& server = ThrowawayPostgres::shared();
  server.kill9();
  bed.go();
  REQUIRE(fleet.wait_for_status([](const Status& status) {
    return std::all_of(status.slots.begin(), status.slots.end(),
                       [](const SlotStatus& slot) { return slot.phase == "connecting"; });
  }));
  for (const auto& slot : fleet.status().slots) ::kill(slot.pid, SIGKILL);
  REQUIRE(fleet.wait_for_status([](const Status& status) {
    return std::all_of(status.slots.begin(), status.slots.end(), [](const SlotStatus& slot) {
      return slot.epoch == 2 && slot.phase == "connecting";
    });
  }));
  server.start();
  Sql sql(bed.conninfo);
  CHECK(eventually([&] { return sql.number("select count(*) from pgforeman.message") == 0; }));
  CHECK(bed.runs().size() == 4);
  CHECK(sql.number("select count(*) from pgforeman.dead_message") == 0);
  stop_cleanly(fleet);
}

TEST_CASE("The message of a consumer that dies in an outage is rescued after it", "[outage]") {
  Bed bed;
  bed.send(4, R"({"do": "hold"})");
  Fleet fleet(bed.settings({{"RETRY_BACKOFF", "1ms"}, {"VISIBILITY_TIMEOUT", "60s"}}));
  REQUIRE(bed.wait_for_runs(4));
  auto& server = ThrowawayPostgres::shared();
  server.kill9();
  for (const auto& slot : fleet.status().slots) ::kill(slot.pid, SIGKILL);
  REQUIRE(fleet.wait_for_status([](const Status& status) {
    return std::all_of(status.slots.begin(), status.slots.end(), [](const SlotStatus& slot) {
      return slot.epoch == 2 && slot.phase == "connecting";
    });
  }));
  server.start();
  const double back = monotonic_now();
  bed.go();
  REQUIRE(bed.wait_for_runs(8));
  const double took = monotonic_now() - back;
  say("messages of consumers that died in an outage: running again " + std::to_string(took) +
      " s after it");
  CHECK(took <= 2.0);
  CHECK(distinct(bed.runs()) == 4);
  Sql sql(bed.conninfo);
  CHECK(eventually([&] { return sql.number("select count(*) from pgforeman.message") == 0; }));
  stop_cleanly(fleet);
}

TEST_CASE("An outcome left unsettled by an outage is settled while the next message runs",
          "[outage]") {
  Bed bed;
  bed.sql.query(
      "select count(*) from pgforeman.send_batch('q', '{\"do\": \"sleep\", \"ms\": 2000}'::jsonb"
      " || array_fill('{}'::jsonb, array[100]) || '{\"do\": \"hold\"}'::jsonb)");
  Fleet fleet(bed.settings({{"HANDLER_MODE", "jsonl"}, {"CONCURRENCY", "1"}, {"BATCH", "200"}}));
  REQUIRE(bed.wait_for_runs(1));
  // The last ones only: until they come the handler counts as brief again; and few, as on a busy
  // machine it may not, and each then waits for its lock by itself.
  Sql somebody(bed.conninfo);
  somebody.query("begin; select 1 from pgforeman.message where id between 92 and 101 for update");
  REQUIRE(bed.wait_for_runs(102));
  REQUIRE(fleet.wait_for_log("messages not settled yet, their rows are locked"));
  REQUIRE(bed.sql.number("select count(pg_terminate_backend(pid)) from pg_stat_activity"
                         " where application_name like 'pgforeman consumer 0 %'") == 1);
  REQUIRE(fleet.wait_for_log("database session failed, will keep trying"));
  somebody.query("commit");
  CHECK(eventually([&] { return bed.left() == 1; }));
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  CHECK(bed.runs().size() == 102);
  CHECK(fleet.wait_for_status([](const Status& s) { return s.messages.at("done") == 102; }));
  CHECK(fleet.status().messages.at("lost_lease") == 0);
  stop_cleanly(fleet);
}

TEST_CASE("A handler that ends in an outage longer than its lease is settled or fenced off",
          "[outage]") {
  Bed bed;
  bed.send(4, R"({"do": "hold"})");
  Fleet fleet(bed.settings({{"VISIBILITY_TIMEOUT", "1s"}, {"SHUTDOWN_GRACE", "20s"}}));
  REQUIRE(bed.wait_for_runs(4));
  const auto children = children_of(fleet.pid());
  auto& server = ThrowawayPostgres::shared();
  server.kill9();
  const double start = monotonic_now();
  // A consumer whose lease is old reconnects while the handler still runs.
  REQUIRE(eventually([&] { return monotonic_now() - start > 1.5; }));
  const bool draining = GENERATE(false, true);
  INFO("draining: " << draining);
  if (draining) fleet.signal(SIGTERM);
  bed.go();
  REQUIRE(eventually([&] {
    const auto runs = bed.runs();
    return std::none_of(runs.begin(), runs.end(), [](const Run& run) { return alive(run.pid); });
  }));
  CHECK(children_of(fleet.pid()) == children);
  server.start();
  Sql sql(bed.conninfo);
  CHECK(eventually([&] { return sql.number("select count(*) from pgforeman.message") == 0; }));
  if (draining) {
    // No consumer claims any more: the tokens still stand, however late it is.
    CHECK(bed.runs().size() == 4);
  } else {
    // The first one back may claim a message whose settle by another one, a moment later, is lost.
    CHECK(fleet.wait_for_status([&](const Status& s) {
      return s.messages.at("done") == 4 &&
             s.messages.at("lost_lease") == static_cast<std::int64_t>(bed.runs().size()) - 4;
    }));
    CHECK(fleet.status().exits.empty());
    fleet.signal(SIGTERM);
  }
  const auto end = fleet.wait_end();
  REQUIRE(end);
  CHECK(end->code == 0);
  for (const auto& line : fleet.log("child ended")) CHECK(line["cause"] == "drained");
}

TEST_CASE("A draining fleet rescues the messages of consumers that died in an outage", "[outage]") {
  Bed bed;
  bed.send(4, R"({"do": "hold"})");
  Fleet fleet(bed.settings({{"VISIBILITY_TIMEOUT", "60s"}, {"SHUTDOWN_GRACE", "20s"}}));
  REQUIRE(bed.wait_for_runs(4));
  auto& server = ThrowawayPostgres::shared();
  server.kill9();
  const auto slots = fleet.status().slots;
  fleet.signal(SIGTERM);
  REQUIRE(fleet.wait_for_log("fleet drains"));
  for (const auto& slot : slots) ::kill(slot.pid, SIGKILL);
  // Maintenance got its drain signal, and has tried once.
  REQUIRE(eventually([&] { return children_of(fleet.pid()).size() == 1; }));
  server.start();
  const auto end = fleet.wait_end(15s);
  REQUIRE(end);
  CHECK(end->code == 0);
  Sql sql(bed.conninfo);
  CHECK(sql.number("select count(*) from pgforeman.message where token = 0 and crashes = 1") == 4);
}

TEST_CASE("A drain while PostgreSQL is away ends in time", "[outage]") {
  Bed bed;
  bed.send(4, R"({"do": "hold"})");
  Fleet fleet(bed.settings({{"SHUTDOWN_GRACE", "2s"}}));
  REQUIRE(bed.wait_for_runs(4));
  auto& server = ThrowawayPostgres::shared();
  server.kill9();
  const double start = monotonic_now();
  fleet.signal(SIGTERM);
  const auto end = fleet.wait_end(10s);
  REQUIRE(end);
  CHECK(end->code == 0);
  CHECK(monotonic_now() - start <= allowed(3.0));
  CHECK(fleet.processes().empty());
  server.start();
  Sql sql(bed.conninfo);
  CHECK(sql.number("select count(*) from pgforeman.message where attempt = 0") == 4);
}

TEST_CASE("A server that falls silent costs a reconnect, not a child", "[long]") {
  Bed bed;
  bed.send(2, R"({"do": "hold"})");
  Fleet fleet(bed.settings());
  Watch watch(fleet.port());
  REQUIRE(bed.wait_for_runs(2));
  auto& server = ThrowawayPostgres::shared();
  const auto children = children_of(fleet.pid());
  const double start = monotonic_now();
  server.pause();
  // An unanswered call loses its socket after 12 s, before the child's deadline of 20 s.
  const bool noticed =
      fleet.wait_for_log("database session failed, will keep trying", {}, 20s).has_value();
  const double noticed_after = monotonic_now() - start;
  // No process may be killed for it later either.
  const bool waited = eventually([&] { return monotonic_now() - start > 24; }, 30s);
  server.resume();
  CHECK(noticed);
  CHECK(waited);
  say("a silent PostgreSQL was noticed after " + std::to_string(noticed_after) + " s");
  bed.go();
  bed.send(10);
  CHECK(bed.wait_until_empty(15s));
  CHECK(bed.runs().size() == 12);
  CHECK(children_of(fleet.pid()) == children);
  CHECK(fleet.status().exits.empty());
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.livez == std::vector<int>{200});
  stop_cleanly(fleet);
}

TEST_CASE("Messages that an abandoned claim gets later are released", "[long]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"BATCH", "1"}}));
  REQUIRE(fleet.wait_ready());
  const auto server_process = static_cast<pid_t>(bed.sql.number(
      "select pid from pg_stat_activity where application_name like 'pgforeman consumer 0 %'"));
  ::kill(server_process, SIGSTOP);
  bed.send(1, R"({"do": "hold"})");
  // The claim is not answered; another session makes the next one.
  const bool ran = bed.wait_for_runs(1, 30s);
  bed.send(1);
  ::kill(server_process, SIGCONT);
  REQUIRE(ran);
  REQUIRE(eventually([&] {
    return bed.sql.number("select count(*) from pgforeman.message where token <> 0") == 2;
  }));
  bed.go();
  CHECK(bed.wait_until_empty(20s));  // by the second release
  CHECK(bed.runs().size() == 2);
  stop_cleanly(fleet);
}

TEST_CASE("Messages that an abandoned claim gets after its consumer has drained are released",
          "[long]") {
  Bed bed;
  bed.send(1, R"({"do": "hold"})");
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"BATCH", "1"}, {"SHUTDOWN_GRACE", "1s"}}));
  REQUIRE(bed.wait_for_runs(1));
  fleet.signal(SIGTTIN);
  REQUIRE(eventually([&] {
    const auto status = fleet.status();
    return status.slots.size() == 2 && status.slots[1].phase == "waiting";
  }));
  const auto server_process = static_cast<pid_t>(bed.sql.number(
      "select pid from pg_stat_activity where application_name like 'pgforeman consumer 1 %'"));
  ::kill(server_process, SIGSTOP);
  bed.send(1, R"({"do": "hold"})");
  const bool ran = bed.wait_for_runs(2, 30s);  // in another session
  // Its row is locked, so the consumer gives up at the end of its drain.
  Sql other(bed.conninfo);
  other.query("begin; select 1 from pgforeman.message where id = 2 for update");
  fleet.signal(SIGTTOU);
  const bool ended = fleet.wait_for_log("child ended", {}, 10s).has_value();
  bed.send(1);
  const auto third = bed.sql.query("select max(id) from pgforeman.message");
  ::kill(server_process, SIGCONT);
  REQUIRE(ran);
  REQUIRE(ended);
  const auto claimed = [&](int count) {
    return bed.sql.number("select count(*) from pgforeman.message where token <> 0 and id = " +
                          third) == count;
  };
  CHECK(eventually([&] { return claimed(1); }));
  CHECK(eventually([&] { return claimed(0); }, 15s));  // by maintenance
  other.query("commit");
  bed.go();
  CHECK(bed.wait_until_empty(20s));
  stop_cleanly(fleet);
}

TEST_CASE("Nothing is lost or run twice when PostgreSQL restarts again and again", "[outage]") {
  Bed bed;
  bed.send(3000);
  Fleet fleet(bed.settings({{"HANDLER_MODE", "jsonl"}, {"BATCH", "10"}}));
  Watch watch(fleet.port());
  auto& server = ThrowawayPostgres::shared();
  for (std::size_t i = 1; i <= 4; ++i) {
    REQUIRE(bed.wait_for_runs(i * 300, 20s));
    i % 2 == 0 ? server.kill9() : server.stop_fast();
    server.start();
  }
  Sql sql(bed.conninfo);
  REQUIRE(
      eventually([&] { return sql.number("select count(*) from pgforeman.message") == 0; }, 60s));
  const auto runs = bed.runs();
  CHECK(distinct(runs) == 3000);
  CHECK(runs.size() == 3000);
  CHECK(fleet.status().exits.empty());
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.livez == std::vector<int>{200});
  stop_cleanly(fleet);
}
