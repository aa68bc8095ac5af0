// What the database refuses, with whatever error, holds up nothing else and is charged to no
// message.

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "process/bed.h"
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
  // What looks like a damaged payload is buried without it.
  const int buried = what == RefusedCall::bury ? 1 : 0;
  CHECK(eventually([&] { return bed.dead() == buried; }));
  CHECK(bed.left() == static_cast<std::int64_t>(sqlstates().size()) - buried);
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

TEST_CASE("A message whose lease cannot be renewed costs no other one its lease", "[refusals]") {
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
