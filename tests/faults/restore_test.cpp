// A dump is restored while a fleet works: its session stays, the tables are others.

#include "faults/restore.h"

#include "faults/records.h"
#include "support/catch.h"
#include "support/fleet.h"

using namespace pgforeman::test;

TEST_CASE("What a restored dump brings back below the marks is found by the same sessions",
          "[restored]") {
  ThrowawayPostgres server;
  const std::string conninfo = server.create_database("mail");
  REQUIRE(run_command({"migrate"}, {{"DATABASE_URL", conninfo}}).code == 0);
  Sql sql(conninfo);
  keep_records(sql);
  const auto send = [&](int count) {
    sql.query(
        "select count(pgforeman.send('q', jsonb_build_object('n', i)))"
        " from generate_series(1, " +
        std::to_string(count) + ") i");
  };
  const auto left = [&] { return sql.number("select count(*) from pgforeman.message"); };
  send(20);
  // Further apart than the regular looks at the last numbers reach.
  sql.query("select setval(pg_get_serial_sequence('pgforeman.message', 'id'), 10000000)");
  send(2000);
  Backup backup(server, "mail");
  Fleet fleet({{"DATABASE_URL", conninfo},
               {"HANDLER_MODE", "jsonl"},
               {"HANDLER", FAULT_HANDLER_PATH " jsonl /dev/null a"},
               {"CONCURRENCY", "2"}});
  REQUIRE(eventually([&] { return left() == 0; }, 20s));
  CHECK(backup.restore().back.size() == 2000);
  CHECK(eventually([&] { return left() == 0; }, 20s));
  CHECK(fleet.status().exits.empty());
  CHECK(fleet.stop() == 0);
}
