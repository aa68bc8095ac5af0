// What the database refuses, with whatever error, holds up nothing else and is charged to no
// message.

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "process/bed.h"
#include "support/prometheus_text.h"
#include "support/refusal.h"
#include "support/sqlstates.h"

using namespace pgforeman::test;

namespace {

constexpr int kOthers = 100;

/// A message for each error, with `more` in its payload.
std::string stuck_messages(const std::string& more, const std::string& delay = "0") {
  std::string states;
  for (const auto& state : sqlstates()) states += (states.empty() ? "" : ",") + state;
  return "select count(pgforeman.send('q', jsonb_build_object('stuck', s) || '{" + more +
         "}', delay => '" + delay + "')) from unnest('{" + states + "}'::text[]) s";
}

std::int64_t charged(Sql& sql) {
  return sql.number("select count(*) from pgforeman.message where crashes > 0 or attempt > 0");
}

/// The stuck messages that no line of the log names.
std::set<std::string> unnamed(Sql& sql, const Fleet& fleet) {
  std::set<std::string> ids;
  for (const auto& row :
       sql.rows("select id from pgforeman.message where payload->>'stuck' <> ''")) {
    ids.insert(row[0]);
  }
  for (const auto& line : fleet.log()) {
    if (line.level != "info") ids.erase(line["message_id"]);
  }
  return ids;
}

}  // namespace

TEST_CASE("Messages refused with every error hold up no others", "[refusals]") {
  const RefusedCall what = GENERATE(RefusedCall::claim, RefusedCall::settle, RefusedCall::bury,
                                    RefusedCall::promote, RefusedCall::sweep);
  CAPTURE(to_string(what));
  Bed bed;
  refuse(bed.sql, what);
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"},
                            {"HANDLER_MODE", "jsonl"},
                            {"MAX_ATTEMPTS", what == RefusedCall::bury ? "1" : "25"},
                            {"RETRY_BACKOFF", "100ms"},
                            {"VISIBILITY_TIMEOUT", "2s"}}));
  const double since = monotonic_now();
  if (what == RefusedCall::sweep) {
    // Committed when claims have passed their places: they need new ones.
    Sql late(bed.conninfo);
    late.query("begin");
    late.query(stuck_messages(""));
    late.query("select count(pgforeman.send('q', '{}')) from generate_series(1, " +
               std::to_string(kOthers) + ")");
    bed.send(20);
    REQUIRE(bed.wait_for_runs(20));
    late.query("commit");
  } else if (what == RefusedCall::promote) {
    bed.sql.query(stuck_messages("", "100 ms"));
    bed.sql.query(
        "select count(pgforeman.send('q', '{}', delay => '200 ms'))"
        " from generate_series(1, " +
        std::to_string(kOthers) + ")");
  } else {
    bed.sql.query(stuck_messages(what == RefusedCall::bury ? R"("do": "fail")" : ""));
    bed.send(kOthers);
  }
  const auto others_left = [&] {
    return bed.sql.number("select count(*) from pgforeman.message where payload->>'stuck' is null");
  };
  CHECK(eventually([&] { return others_left() == 0; }, 30s));
  const double took = monotonic_now() - since;
  say("P28 " + std::to_string(kOthers) + " messages beside " + std::to_string(sqlstates().size()) +
      " that are refused (" + to_string(what) + "): " + std::to_string(took) + " s");
  CHECK(took < allowed(10.0));
  CHECK(bed.dead() == 0);
  CHECK(bed.left() == static_cast<std::int64_t>(sqlstates().size()));
  CHECK(charged(bed.sql) == 0);
  eventually([&] { return unnamed(bed.sql, fleet).empty(); }, 20s);
  CHECK(unnamed(bed.sql, fleet) == std::set<std::string>{});
  CHECK(fleet.status().exits.empty());
  if (what != RefusedCall::promote && what != RefusedCall::sweep) {  // tried again within a minute
    bed.sql.query(what == RefusedCall::bury ? "drop trigger refuse on pgforeman.dead_message"
                                            : "drop trigger refuse on pgforeman.message");
    CHECK(bed.wait_until_empty(30s));
  }
  stop_cleanly(fleet);
}

TEST_CASE("Three hundred messages refused with a server's error hold up none behind them",
          "[refusals]") {
  const RefusedCall what = GENERATE(RefusedCall::claim, RefusedCall::promote, RefusedCall::sweep);
  CAPTURE(to_string(what));
  Bed bed;
  refuse(bed.sql, what);
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}, {"HANDLER_MODE", "jsonl"}}));
  REQUIRE(fleet.wait_ready());
  // More than a claim looks at, or a promotion leaves out at once.
  const std::string many = "jsonb_build_object('stuck', '55P03'))) from generate_series(1, 300)";
  if (what == RefusedCall::sweep) {
    Sql late(bed.conninfo);
    late.query("begin; select count(pgforeman.send('q', payload => " + many);
    bed.send(20);
    REQUIRE(bed.wait_for_runs(20));
    late.query("commit");
  } else if (what == RefusedCall::promote) {
    bed.sql.query("select count(pgforeman.send('q', delay => '100 ms', payload => " + many);
  } else {
    bed.sql.query("select count(pgforeman.send('q', payload => " + many);
  }
  REQUIRE(fleet.wait_for_log(what == RefusedCall::claim
                                 ? "database session failed, will keep trying"
                                 : "maintenance duty failed, will try again"));
  if (what == RefusedCall::promote) {
    for (int i = 0; i < 5; ++i) {
      bed.sql.query("select pgforeman.send('q', '{}', delay => '200 ms')");
      CHECK(eventually([&] { return bed.left() == 300; }, 5s));
    }
  } else {
    bed.send(100);
    CHECK(eventually([&] { return bed.left() == 300; }, 10s));
  }
  CHECK(charged(bed.sql) == 0);
  CHECK(fleet.status().exits.empty());
  stop_cleanly(fleet);
}

TEST_CASE("A lease that cannot be renewed costs no other message its lease", "[refusals]") {
  Bed bed;
  refuse(bed.sql, RefusedCall::renew);
  bed.send(1, R"({"do": "hold"})");
  bed.send(20);
  bed.sql.query(stuck_messages(""));
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"},
                            {"HANDLER_MODE", "jsonl"},
                            {"BATCH", "100"},
                            {"VISIBILITY_TIMEOUT", "2s"}}));
  REQUIRE(bed.wait_for_runs(1));
  // Three leases long.
  REQUIRE(eventually(
      [&] {
        return bed.sql.number(
                   "select count(*) from pgforeman.message where payload->>'stuck' <> ''"
                   " and visible_at < clock_timestamp() - interval '4 seconds'") > 0;
      },
      20s));
  CHECK(bed.sql.number("select count(*) from pgforeman.message where payload->>'stuck' is null"
                       " and visible_at < clock_timestamp()") == 0);
  bed.go();
  CHECK(bed.wait_until_empty(30s));
  CHECK(fleet.status().messages.at("done") == 21 + static_cast<int>(sqlstates().size()));
  CHECK(distinct(bed.runs()) == bed.runs().size());
  CHECK(fleet.status().exits.empty());
  stop_cleanly(fleet);
}

TEST_CASE("A batch in which no lease can be renewed is given up when the leases end",
          "[refusals]") {
  Bed bed;
  refuse(bed.sql, RefusedCall::renew);
  bed.send(10, R"({"stuck": "42501", "do": "sleep", "ms": 700})");
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"},
                            {"HANDLER_MODE", "jsonl"},
                            {"BATCH", "10"},
                            {"VISIBILITY_TIMEOUT", "1s"}}));
  CHECK(bed.wait_until_empty(40s));
  CHECK(bed.dead() == 0);
  CHECK(fleet.status().exits.empty());
  stop_cleanly(fleet);
}

TEST_CASE("A message that ends the server's process that reads it is a dead letter", "[refusals]") {
  Bed bed;
  const std::string end_process =
      "perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5);";
  // Claims read payloads too, but not those row by row.
  bed.sql.query(
      "create function public.end_process() returns trigger language plpgsql as $$ begin"
      " if new.payload->>'stuck' <> '' and new.claims > old.claims"
      "    and current_query() like '%pgforeman.claim(%' then " +
      end_process +
      " end if; return new; end $$;"
      "create trigger end_process before update on pgforeman.message"
      " for each row execute function public.end_process()");
  bed.sql.query(
      "alter function pgforeman.payload_of rename to payload_of_old;"
      "create function pgforeman.payload_of(id bigint, token bigint)"
      " returns table (payload json, headers jsonb) language plpgsql as $$ begin"
      " if exists (select from pgforeman.message m where m.id = $1 and m.payload->>'stuck' <> '')"
      " then " +
      end_process + " end if; return query select * from pgforeman.payload_of_old($1, $2); end $$");
  bed.send(20);
  bed.send(1, R"({"stuck": "1"})");
  bed.send(20);
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}, {"RETRY_BACKOFF", "100ms"}}));
  CHECK(eventually([&] { return bed.left() == 0; }, 60s));
  CHECK(bed.sql.query("select string_agg(reason, ' ') from pgforeman.dead_message") ==
        "max_crashes");
  CHECK(distinct(bed.runs()) == 40);
  CHECK(bed.runs().size() == 40);
  CHECK(fleet.status().exits.empty());
  stop_cleanly(fleet);
}

TEST_CASE("Settles that take long or fail for ever do not stop a queue", "[duties]") {
  const bool slow = GENERATE(true, false);
  CAPTURE(slow);
  Bed bed;
  // A tenth of a second for each message, so that a batch takes longer than a statement may; or an
  // error that may be the server's.
  const std::string body =
      slow ? "perform pg_sleep(0.1);"  // house: sleep: the trigger's time is what is tested
           : "if old.payload->>'stuck' <> '' then raise exception using errcode = '58030'; end if;";
  bed.sql.query("create function public.linger() returns trigger language plpgsql as $$ begin " +
                body +
                " return old; end $$; create trigger linger before delete on"
                " pgforeman.message for each row execute function public.linger()");
  if (slow) {
    bed.send(150);
  } else {
    bed.send(1050, R"({"stuck": "58030"})");  // more than a consumer holds
    bed.send(50);
  }
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"},
                            {"HANDLER_MODE", "jsonl"},
                            {"BATCH", slow ? "150" : "1000"},
                            {"VISIBILITY_TIMEOUT", slow ? "60s" : "5s"}}));
  const auto others_left = [&] {
    return bed.sql.number("select count(*) from pgforeman.message where payload->>'stuck' is null");
  };
  CHECK(eventually([&] { return others_left() == 0; }, 150s));
  CHECK(charged(bed.sql) == 0);
  CHECK(fleet.status().exits.empty());
  if (slow) {
    CHECK(bed.runs().size() == 150);
  } else {
    CHECK(sample(fleet.metrics(), "pgforeman_refused_messages_total{queue=\"q\",call=\"settle\"}") >
          0);
  }
  fleet.signal(SIGKILL);
}

TEST_CASE("A damaged page costs the messages on it, and no others", "[refusals]") {
  ThrowawayPostgres server;
  Bed bed(server);
  bed.send(400);
  const std::string file = bed.sql.query("show data_directory") + "/" +
                           bed.sql.query("select pg_relation_filepath('pgforeman.message')");
  const auto on_page = bed.sql.number(
      "select count(*) from pgforeman.message where ctid >= '(1,0)' and ctid < '(2,0)'");
  REQUIRE(on_page > 0);
  server.stop_fast();
  {
    std::fstream pages(file, std::ios::in | std::ios::out | std::ios::binary);
    pages.seekp(8192);
    pages << std::string(8192, '\xff');
    REQUIRE(pages.flush());
  }
  server.start();
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}, {"HANDLER_MODE", "jsonl"}}), Fleet::Wait::port);
  const auto others = static_cast<std::size_t>(400 - on_page);
  CHECK(bed.wait_for_runs(others, 30s));
  REQUIRE(fleet.wait_for_log("messages on a damaged page are passed over"));
  Sql sql(bed.conninfo);
  for (std::size_t i = 1; i <= 3; ++i) {
    sql.query("select count(pgforeman.send('q', '1')) from generate_series(1, 100)");
    CHECK(bed.wait_for_runs(others + 100 * i, 10s));
  }
  CHECK(distinct(bed.runs()) == others + 300);
  CHECK(fleet.status().exits.empty());
  fleet.signal(SIGTERM);
  CHECK(fleet.wait_end(30s));
}

TEST_CASE("A disk that is full and a server that is read-only charge no message", "[refusals]") {
  const bool full = GENERATE(true, false);
  // Where PostgreSQL's user can see it.
  const std::filesystem::path sign =
      std::filesystem::temp_directory_path() / ("pgforeman-full-" + std::to_string(::getpid()));
  ::setenv("LD_PRELOAD", TEST_FULL_DISK_PATH, 1);
  ::setenv("FULL_DISK_FILE", sign.c_str(), 1);
  ThrowawayPostgres server;
  ::unsetenv("LD_PRELOAD");
  ::unsetenv("FULL_DISK_FILE");
  Bed bed(server);
  // No room is left for claims: they need a new page.
  bed.sql.query("alter table pgforeman.message set (fillfactor = 100)");
  bed.send(2000, R"({"do": "sleep", "ms": 5})");
  Fleet fleet(bed.settings(
      {{"CONCURRENCY", "4"}, {"HANDLER_MODE", "jsonl"}, {"VISIBILITY_TIMEOUT", "3s"}}));
  REQUIRE(bed.wait_for_runs(100));
  if (full) {
    std::ofstream{sign};
  } else {
    bed.sql.query("alter system set default_transaction_read_only = on");
    bed.sql.query("select pg_reload_conf()");
  }
  const auto failed = [&](const LogLine& line) {
    const auto reason = line["reason"] + line["error"];
    return reason.find(full ? "No space left" : "read-only") != std::string::npos;
  };
  CHECK(eventually(
      [&] {
        const auto log = fleet.log();
        return std::any_of(log.begin(), log.end(), failed);
      },
      20s));
  const double since = monotonic_now();
  CHECK(eventually([&] { return monotonic_now() - since > 5; }, 20s));  // longer than the leases
  if (full) {
    std::filesystem::remove(sign);
  } else {
    bed.sql.query("set default_transaction_read_only = off");
    bed.sql.query("alter system reset default_transaction_read_only");
    bed.sql.query("select pg_reload_conf()");
  }
  CHECK(bed.wait_until_empty(60s));
  CHECK(bed.dead() == 0);
  CHECK(fleet.status().exits.empty());
  CHECK(fleet.status().messages.at("retry") == 0);
  CHECK(fleet.status().messages.at("done") == 2000);
  stop_cleanly(fleet);
}
