// PostgreSQL fails over: a streaming standby is promoted while a fleet works. With synchronous
// replication nothing that was acknowledged is lost.

#include <cstdio>
#include <ctime>

#include "faults/load.h"
#include "faults/records.h"
#include "support/catch.h"
#include "support/fleet.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

double now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::string ports(const ThrowawayPostgres& first, const ThrowawayPostgres& second) {
  return std::to_string(first.port()) + "," + std::to_string(second.port());
}

}  // namespace

TEST_CASE("A standby is promoted under a fleet, and nothing acknowledged is lost",
          "[fault_failover]") {
  ThrowawayPostgres primary("full_page_writes = on");
  primary.create_database("mail");
  REQUIRE(run_command({"migrate"}, {{"DATABASE_URL", primary.conninfo("mail")}}).code == 0);
  Sql before(primary.conninfo("mail"));
  keep_records(before);
  const auto standby = ThrowawayPostgres::standby_of(primary);
  // After the backup: the standby shall not wait for one of its own.
  before.query("alter system set synchronous_standby_names = '*'");
  before.query("select pg_reload_conf()");
  REQUIRE(eventually(
      [&] { return before.query("select sync_state from pg_stat_replication") == "sync"; }));

  const std::string both = "host=127.0.0.1,127.0.0.1 port=" + ports(primary, *standby) +
                           " user=postgres dbname=mail target_session_attrs=read-write";
  const TempFolder folder;
  const std::string ledger = folder.file("ledger");
  Fleet fleet({{"DATABASE_URL", both},
               {"HANDLER_MODE", "jsonl"},
               {"HANDLER", FAULT_HANDLER_PATH " jsonl " + ledger + " a1"},
               {"CONCURRENCY", "4"},
               {"HANDLER_TIMEOUT", "2s"},
               {"RETRY_BACKOFF", "10ms"},
               {"MAX_CRASHES", "12"},
               {"CRASH_LOOP_COUNT", "100"}});
  Watch watch(fleet.port());
  Load load(both, 200, 1);
  REQUIRE(eventually([&] { return load.sent() >= 300; }, 20s));
  const double failed = now();
  primary.kill9();
  standby->promote();
  const auto done = [&] { return fleet.status().messages.at("done"); };
  const auto already = done();
  REQUIRE(eventually([&] { return done() > already; }, 15s));
  const double back = now();
  const auto sent = load.sent();
  REQUIRE(eventually([&] { return load.sent() >= sent + 300; }, 20s));
  // The new primary may lack ids that the old one gave out last: they are not reused.
  const auto moved = fleet.wait_for_log("message ids would repeat, the sequence is set forward");
  REQUIRE(moved);
  CHECK((*moved)["because"] == "restored, copied or failed over");

  Books books;
  books.sent = load.finish();
  Sql after(standby->conninfo("mail"));
  REQUIRE(
      eventually([&] { return after.number("select count(*) from pgforeman.message") == 0; }, 60s));
  books.ends = message_ends(after);
  books.runs = read_ledger(read_file(ledger));
  // Runs that ended in the last moment, or could not be settled before their lease ended.
  books.incidents = {{"", "the failover", failed, back}};
  const Verdict verdict = audit(books);
  std::printf("FIGURE P20 failover: work went on after %.2f s; %s\n", back - failed,
              verdict.text().c_str());
  INFO(verdict.text());
  CHECK(verdict.problems.empty());
  CHECK(verdict.done > 500);
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.livez == std::vector<int>{200});
  CHECK(fleet.status().exits.empty());
  CHECK(fleet.stop() == 0);
}
