#include "queue/migrate.h"

#include <atomic>
#include <mutex>
#include <thread>

#include "queue/database.h"
#include "support/interfaces.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

DatabaseError error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const DatabaseError& e) {
    return e;
  }
  FAIL("nothing was thrown");
  std::abort();
}

}  // namespace

TEST_CASE("Ten replicas that migrate at once apply each migration once", "[migrate]") {
  const std::string conninfo = empty_database();
  std::atomic<int> applied{0}, failed{0};
  std::mutex guard;
  std::string what;
  std::vector<std::thread> replicas;
  for (int i = 0; i < 10; ++i) {
    replicas.emplace_back([&] {
      try {
        Connection connection(settings_for(conninfo));
        applied += migrate(connection, {});
      } catch (const std::exception& e) {
        ++failed;
        const std::lock_guard lock(guard);
        what += std::string(e.what()) + "\n";
      }
    });
  }
  for (auto& replica : replicas) replica.join();
  INFO(what);
  CHECK(failed == 0);
  CHECK(applied == latest_version());
  Sql sql(conninfo);
  CHECK(sql.number("select count(*) from pgforeman.schema_version") == latest_version());
  Connection connection(settings_for(conninfo));
  CHECK(installed_schema(connection).version == latest_version());
  CHECK(migrate(connection, {}) == 0);
  Queue(connection, "q").check_schema();
}

TEST_CASE("A database that was not migrated is an error that names the command", "[migrate]") {
  Connection connection(settings_for(empty_database()));
  CHECK(installed_schema(connection).version == 0);
  Queue queue(connection, "q");
  for (const auto& call : std::vector<std::function<void()>>{
           [&] { queue.check_schema(); }, [&] { queue.claim(1, {Token{1}}, Millis{1000}); },
           [&] { queue.tick(); }, [&] { Producer(connection, "q").send("1"); }}) {
    const DatabaseError error = error_of(call);
    CHECK(error.kind() == DatabaseError::Kind::schema);
    CHECK_THAT(error.what(), contains("pgforeman migrate"));
  }
}

TEST_CASE("A schema newer than this binary is refused", "[migrate]") {
  Database db;
  db.sql.query("insert into pgforeman.schema_version values (999, 'from the future', '')");
  for (const auto& call : std::vector<std::function<void()>>{[&] { db.queue.check_schema(); },
                                                             [&] { migrate(db.connection, {}); }}) {
    const DatabaseError error = error_of(call);
    CHECK(error.kind() == DatabaseError::Kind::schema);
    CHECK_THAT(error.what(), contains("999") && contains("newer"));
  }
}

TEST_CASE("A schema of another development version is refused with the remedy", "[migrate]") {
  Database db;
  // One that recorded no digests, and one whose second migration had another text.
  const std::string statement =
      GENERATE("alter table pgforeman.schema_version drop column digest",
               "update pgforeman.schema_version set digest = 'other' where version = 2");
  db.sql.query(statement);
  db.sql.query("delete from pgforeman.schema_version where version > 4");
  for (const auto& call : std::vector<std::function<void()>>{[&] { db.queue.check_schema(); },
                                                             [&] { migrate(db.connection, {}); }}) {
    const DatabaseError error = error_of(call);
    CHECK(error.kind() == DatabaseError::Kind::schema);
    CHECK_THAT(error.what(),
               contains("another development version") && contains("drop schema pgforeman"));
  }
}

TEST_CASE("A schema without a recorded version is refused with its contents", "[migrate]") {
  Database db;
  db.sql.query("delete from pgforeman.schema_version");
  for (const auto& call : std::vector<std::function<void()>>{[&] { db.queue.check_schema(); },
                                                             [&] { migrate(db.connection, {}); }}) {
    const DatabaseError error = error_of(call);
    CHECK(error.kind() == DatabaseError::Kind::schema);
    CHECK_THAT(error.what(), contains("dead_message, home, mark, message, schema_version") &&
                                 contains("schema_version has no rows"));
  }
}

TEST_CASE("The script of migrate --dry-run makes the same schema through psql", "[migrate]") {
  Sql sql(empty_database());
  for (const Migration& migration : migrations()) sql.query(migration_script(migration));
  CHECK(sql.number("select max(version) from pgforeman.schema_version") == latest_version());
  CHECK(sql.number("select pgforeman.send('q', '1')") == 1);
}

TEST_CASE("A migration that fails leaves nothing behind", "[migrate]") {
  const std::string conninfo = empty_database();
  Sql sql(conninfo);
  sql.query("create schema pgforeman; create table pgforeman.dead_message (x int)");
  Connection connection(settings_for(conninfo));
  CHECK_THROWS_AS(migrate(connection, {}), DatabaseError);
  CHECK(sql.query("select to_regclass('pgforeman.message') is null") == "t");
  sql.query("drop table pgforeman.dead_message");
  CHECK(migrate(connection, {}) == latest_version());  // the session is still of use
}

TEST_CASE("A role without rights on the schema gets an error that names them", "[migrate]") {
  Database db;
  db.sql.query("create role nobody_special login");
  Connection connection(settings_for(db.conninfo + " user=nobody_special"));
  Queue queue(connection, "q");
  CHECK(error_of([&] { queue.check_schema(); }).kind() == DatabaseError::Kind::permission);
  CHECK(error_of([&] { queue.claim(1, {Token{1}}, Millis{1000}); }).kind() ==
        DatabaseError::Kind::permission);
}

TEST_CASE("The schema has just the functions, tables and columns that the docs list", "[migrate]") {
  Database db;
  std::set<std::string> real;
  for (const Row& row : db.sql.rows(
           "select format('function %s(%s) returns %s', proname, pg_get_function_arguments(oid),"
           "  pg_get_function_result(oid))"
           " from pg_proc where pronamespace = 'pgforeman'::regnamespace "
           "union all "
           "select case relkind when 'r' then 'table ' when 'S' then 'sequence ' else 'view ' end"
           "  || relname || coalesce((select '(' || string_agg("
           "    attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) || ')'"
           "    from pg_attribute where attrelid = pg_class.oid and attnum > 0"
           "    and not attisdropped and relkind <> 'S'), '')"
           " from pg_class where relnamespace = 'pgforeman'::regnamespace"
           " and relkind in ('r', 'p', 'v', 'm', 'S')")) {
    real.insert(row.at(0));
  }
  CHECK(difference(listed(PGFOREMAN_DOCS "/interfaces.md", "SQL"), real) == "");
}
