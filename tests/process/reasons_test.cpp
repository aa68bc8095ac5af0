// What an operator's mistake with the database looks like: the log's `reason` says it in words that
// docs/operating.md quotes, the fleet stays, is live and not ready, and works once it is mended.

#include <memory>

#include "process/bed.h"

using namespace pgforeman::test;

namespace {

struct Trouble {
  std::string name;
  std::string make;    ///< SQL, as superuser
  std::string url;     ///< what is added to the database's, and wins
  std::string reason;  ///< a part of it, quoted in docs/operating.md
  std::string mend;    ///< SQL; "": it cannot be mended under a running fleet
};

const std::vector<Trouble>& troubles() {
  static const std::vector<Trouble> all = {
      {"nobody listens", "", " host=127.0.0.1 port=1", "Connection refused", ""},
      {"no such host", "", " host=no-such-host.invalid", "could not translate host name", ""},
      {"no such database", "", " dbname=nowhere", "does not exist", ""},
      {"no rights", "", " user=clerk", "permission denied for schema pgforeman",
       "grant usage on schema pgforeman to clerk;"
       "grant select, insert, update, delete on all tables in schema pgforeman to clerk;"
       "grant execute on all functions in schema pgforeman to clerk"},
      {"too few connections",
       "alter role clerk connection limit 1;"
       "grant usage on schema pgforeman to clerk;"
       "grant select, insert, update, delete on all tables in schema pgforeman to clerk;"
       "grant execute on all functions in schema pgforeman to clerk",
       " user=clerk", "too many connections for role", "alter role clerk connection limit -1"},
      {"a server that takes no writes",
       "alter role clerk set default_transaction_read_only = on;"
       "grant usage on schema pgforeman to clerk;"
       "grant select, insert, update, delete on all tables in schema pgforeman to clerk;"
       "grant execute on all functions in schema pgforeman to clerk",
       " user=clerk", "in a read-only transaction",
       "alter role clerk reset default_transaction_read_only;"
       "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'clerk'"},
      {"no schema", "alter schema pgforeman rename to elsewhere", "",
       "the queue's schema is not installed in this database: run `pgforeman migrate`",
       "alter schema elsewhere rename to pgforeman"},
      {"a newer schema", "insert into pgforeman.schema_version values (9999, 'later', '')", "",
       "newer than this pgforeman", "delete from pgforeman.schema_version where version = 9999"},
      {"a locked queue", "", "", "canceling statement due to lock timeout", ""},
  };
  return all;
}

}  // namespace

TEST_CASE("The log names a database problem in the manual's words", "[reasons]") {
  const std::string manual = read_file(PGFOREMAN_DOCS "/operating.md");
  REQUIRE_FALSE(manual.empty());
  for (const Trouble& trouble : troubles()) {
    INFO(trouble.name);
    CHECK_THAT(manual, contains(trouble.reason));
    Bed bed;
    bed.sql.query("create role clerk login");
    if (!trouble.make.empty()) bed.sql.query(trouble.make);
    std::unique_ptr<Sql> lock;
    if (trouble.name == "a locked queue") {
      lock = std::make_unique<Sql>(bed.conninfo);
      lock->query("begin");
      lock->query("lock table pgforeman.message in access exclusive mode");
    }
    Fleet fleet(bed.settings({{"DATABASE_URL", bed.conninfo + trouble.url}}), Fleet::Wait::port);
    const auto said = fleet.wait_for_log(
        "database session failed, will keep trying",
        [&](const LogLine& line) {
          return line["reason"].find(trouble.reason) != std::string::npos;
        },
        20s);
    INFO(fleet.log_text());
    CHECK(said);
    CHECK(fleet.get("/livez").status == 200);
    // With one connection for five processes the first one works.
    if (trouble.name != "too few connections") CHECK(fleet.get("/readyz").status == 503);
    if (lock || !trouble.mend.empty()) {
      if (lock) lock.reset();
      if (!trouble.mend.empty()) bed.sql.query(trouble.mend);
      CHECK(fleet.wait_ready());
      bed.send();
      CHECK(bed.wait_until_empty(20s));
    }
    CHECK(fleet.status().exits.empty());
    stop_cleanly(fleet);
    bed.sql.query("drop owned by clerk; drop role clerk");
  }
}
