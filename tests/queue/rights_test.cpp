// Whose the schema is, and what each part may do with it.

#include "queue/database.h"
#include "queue/grants.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

/// A new role that can log in; roles belong to the whole server, so each test has its own.
std::string new_role(Sql& sql) {
  static int count = 0;
  const std::string name = "role_" + std::to_string(++count);
  sql.query("create role " + name + " login");
  return name;
}

std::string refused(Sql& sql, const std::string& statement) {
  try {
    sql.query(statement);
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

std::string refused(const std::function<void()>& call) {
  try {
    call();
  } catch (const DatabaseError& e) {
    return e.what();
  }
  return "";
}

/// Operators in `public` that fit the arguments of our statements better than PostgreSQL's own do,
/// and write down that they were run.
void set_traps(Sql& sql) {
  sql.query(
      "grant create on schema public to public; create table public.trapped (operator text);"
      "grant all on public.trapped to public");
  for (const std::string operation : {"*", "+", "-", "/", "=", "<>", "<", "<=", ">", ">="}) {
    const bool compares = std::string("=<>").find(operation[0]) != std::string::npos;
    for (const std::string left : {"int4", "int8", "int2", "numeric", "float8"}) {
      for (const std::string right : {"int4", "int8", "int2", "numeric", "float8"}) {
        const std::string result = compares ? "bool" : "float8";
        const std::string name = "public.trap_" + left + "_" + right + "_" +
                                 std::to_string(std::hash<std::string>{}(operation) % 1000);
        sql.query("create function " + name + "(" + left + ", " + right + ") returns " + result +
                  " language plpgsql as $$ begin insert into public.trapped values ('" + left +
                  " " + operation + " " + right +
                  "'); return null; end $$; create operator public." + operation +
                  " (leftarg = " + left + ", rightarg = " + right + ", function = " + name + ")");
      }
    }
  }
}

}  // namespace

TEST_CASE("No function of the schema depends on an object of another role", "[rights]") {
  const std::string conninfo = empty_database();
  Sql sql(conninfo);
  set_traps(sql);
  Connection connection(settings_for(conninfo));
  migrate(connection, {});
  // Of bodies that PostgreSQL parsed when they were made, it knows what they use.
  CHECK(sql.query("select string_agg(distinct p.proname || ' uses ' || d.refobjid::text, ', ')"
                  " from pg_depend d join pg_proc p on p.oid = d.objid"
                  " and d.classid = 'pg_proc'::regclass"
                  " left join pg_operator o on o.oid = d.refobjid"
                  "  and d.refclassid = 'pg_operator'::regclass"
                  " left join pg_proc f on f.oid = d.refobjid"
                  "  and d.refclassid = 'pg_proc'::regclass"
                  " where p.pronamespace = 'pgforeman'::regnamespace"
                  " and coalesce(o.oprnamespace, f.pronamespace) not in"
                  "  ('pg_catalog'::regnamespace, 'pgforeman'::regnamespace)") == "NULL");
  // The others look things up when they run: by a path of their own, but for two that only
  // functions with such a path call.
  CHECK(sql.query("select string_agg(p.proname, ' ' order by p.proname) from pg_proc p"
                  " where p.pronamespace = 'pgforeman'::regnamespace and p.prosqlbody is null"
                  " and not coalesce(p.proconfig @> array['search_path=pg_catalog, pg_temp'],"
                  "  false)") == "end_done lock_claimable");

  Queue queue(connection, "q");
  Producer producer(connection, "q");
  const auto id = producer.send("{}", {2, Millis{0}, R"({"h":1})"});
  producer.send("{}", {2, Millis{3600000}, "{}"});
  queue.check_schema();
  const auto claimed = queue.claim(1, {Token{1}}, Millis{60000});
  REQUIRE(claimed.size() == 1);
  CHECK(claimed[0].id == id);
  queue.renew(std::vector{claimed[0].lease()}, Millis{60000});
  const Settlement failed{claimed[0].lease(), retry()};
  CHECK(queue.settle(std::span(&failed, 1), {}).at(0) == Settled::retried);
  queue.tick();
  queue.peek({}, 1);
  queue.open_writers({});
  queue.sweep(std::vector<PlaceRange>{{0, place_of(kLanes, 0)}}, 12);
  queue.vacuum_due(Millis{1000});
  queue.counts();
  CHECK(sql.query("select string_agg(distinct operator, ', ') from public.trapped") == "NULL");
}

TEST_CASE("A schema that belongs to another role is refused with its owner's name", "[rights]") {
  const std::string conninfo = empty_database();
  Sql sql(conninfo);
  const std::string tenant = new_role(sql), owner = new_role(sql);
  sql.query("create schema pgforeman authorization " + tenant +
            "; grant usage, create on schema pgforeman to public");
  const auto as = [&](const std::string& role) {
    return refused([&] {
      Connection connection(settings_for(conninfo + (role.empty() ? "" : " user=" + role)));
      migrate(connection, {});
    });
  };
  CHECK_THAT(as(""), contains("schema pgforeman belongs to role \"" + tenant + "\""));
  CHECK_THAT(as(owner), contains(tenant));
  CHECK(sql.query("select to_regclass('pgforeman.message') is null") == "t");

  // A member of the owner may, and all belongs to the owner then.
  sql.query("grant " + tenant + " to " + owner);
  CHECK(as(owner).empty());
  CHECK(sql.query("select string_agg(distinct pg_get_userbyid(relowner), ' ') from pg_class"
                  " where relnamespace = 'pgforeman'::regnamespace") == tenant);
  CHECK(sql.query("select has_schema_privilege('pg_monitor', 'pgforeman', 'create')") == "f");
}

TEST_CASE("An object of another role within the schema is refused", "[rights]") {
  const std::string conninfo = empty_database();
  Sql sql(conninfo);
  const std::string tenant = new_role(sql);
  sql.query("create schema pgforeman; grant usage, create on schema pgforeman to " + tenant +
            "; set role " + tenant +
            "; create function pgforeman.settle() returns int language sql as 'select 1';"
            " reset role");
  CHECK_THAT(refused([&] {
               Connection connection(settings_for(conninfo));
               migrate(connection, {});
             }),
             contains("function pgforeman.settle") && contains(tenant));
}

TEST_CASE("A superuser's session refuses a schema that belongs to another role", "[rights]") {
  const std::string conninfo = empty_database();
  Sql sql(conninfo);
  const std::string tenant = new_role(sql);
  sql.query("do $$ begin execute format('grant create on database %I to " + tenant +
            "', current_database()); end $$");
  {
    Connection connection(settings_for(conninfo + " user=" + tenant));
    migrate(connection, {});
    Queue(connection, "q").check_schema();  // its own
  }
  Connection connection(settings_for(conninfo));
  Queue queue(connection, "q");
  CHECK_THAT(refused([&] { queue.check_schema(); }),
             contains("belongs to role \"" + tenant + "\""));
  sql.query("alter schema pgforeman owner to postgres");
  queue.check_schema();
}

TEST_CASE("A producer may send and nothing else", "[rights]") {
  Database db;
  // A role without a grant may not even send.
  const std::string stranger = new_role(db.sql);
  db.sql.query("grant usage on schema pgforeman to " + stranger);
  Sql other(db.conninfo + " user=" + stranger);
  CHECK_THAT(refused(other, "select pgforeman.send('q', '1')"), contains("permission denied"));
  const std::string role = new_role(db.sql);
  grant(db.connection, role, Part::producer);
  Sql producer(db.conninfo + " user=" + role);
  CHECK(producer.number("select pgforeman.send('q', '1')") > 0);
  CHECK(producer.number("select count(*) from pgforeman.send_batch('q', '[1, 2]')") == 2);
  for (const std::string statement :
       {"insert into pgforeman.message (queue, place, payload) values ('q', 5, '1')",
        "select id from pgforeman.message", "select nextval('pgforeman.message_id_seq')",
        "select * from pgforeman.claim('q', 1, 1, '1s')", "select pgforeman.announce('q', 'now')",
        "select pgforeman.become_listener('q')", "select pgforeman.dead_purge()",
        "select version from pgforeman.schema_version",
        "create function pgforeman.x() returns int language sql as 'select 1'"}) {
    CAPTURE(statement);
    CHECK_THAT(refused(producer, statement), contains("permission denied"));
  }
  CHECK(db.left() == 3);
}

TEST_CASE("A session ignores its role's search path for types", "[rights]") {
  Database db;
  const std::string role = new_role(db.sql);
  grant(db.connection, role, Part::worker);
  db.sql.query(
      "create schema theirs; grant usage on schema theirs to public;"
      "create domain theirs.text as pg_catalog.text check (false);"
      "alter role " +
      role + " set search_path = theirs, pg_catalog");
  db.send();
  Connection connection(settings_for(db.conninfo + " user=" + role));
  Queue queue(connection, "q");
  REQUIRE_NOTHROW(queue.check_schema());
  std::vector<ClaimedMessage> claimed;
  REQUIRE_NOTHROW(claimed = queue.claim(1, {Token{1}}, Millis{60000}));
  const Settlement ended{claimed.at(0).lease(), done()};
  CHECK_NOTHROW(queue.settle(std::span(&ended, 1), {}));
  CHECK(db.left() == 0);
}

TEST_CASE("A former worker is refused as a producer until its other rights are revoked",
          "[rights]") {
  Database db;
  const std::string role = new_role(db.sql);
  grant(db.connection, role, Part::worker);
  for (const Part part : {Part::producer, Part::monitor, Part::operate}) {
    CHECK_THAT(refused([&] { grant(db.connection, role, part); }),
               contains("revoke all on all functions in schema pgforeman from \"" + role));
  }
  db.sql.query("revoke all on all tables in schema pgforeman from " + role +
               "; revoke all on all functions in schema pgforeman from " + role);
  grant(db.connection, role, Part::producer);
  grant(db.connection, role, Part::producer);
  grant(db.connection, "postgres", Part::producer);  // the owner of it all
  Sql producer(db.conninfo + " user=" + role);
  CHECK_THAT(refused(producer, "delete from pgforeman.message"), contains("permission denied"));
}

TEST_CASE("A monitor counts but cannot read payloads", "[rights]") {
  Database db;
  const std::string role = new_role(db.sql);
  grant(db.connection, role, Part::monitor);
  db.send(R"({"secret": 1})");
  Sql monitor(db.conninfo + " user=" + role);
  CHECK(monitor.number("select ready from pgforeman.counts('q')") == 1);
  CHECK(monitor.number("select count(*) from pgforeman.message where state = 0"
                       " or due_at <= now()") == 1);
  CHECK_THAT(refused(monitor, "select payload from pgforeman.message"),
             contains("permission denied"));
  CHECK_THAT(refused(monitor, "select pgforeman.send('q', '1')"), contains("permission denied"));
}

TEST_CASE("An operator retries dead letters but cannot claim", "[rights]") {
  Database db;
  const std::string role = new_role(db.sql);
  grant(db.connection, role, Part::operate);
  db.send();
  const auto claimed = db.claim();
  REQUIRE(claimed.size() == 1);
  CHECK(db.settle(claimed[0].lease(), dead("no")) == Settled::dead);
  Sql clerk(db.conninfo + " user=" + role);
  CHECK(clerk.number("select count(*) from pgforeman.dead_list()") == 1);
  CHECK(clerk.number("select count(*) from pgforeman.dead_retry()") == 1);
  CHECK(db.left() == 1);
  CHECK_THAT(refused(clerk, "select * from pgforeman.claim('q', 1, 1, '1s')"),
             contains("permission denied"));
  CHECK_THAT(refused(clerk, "delete from pgforeman.message"), contains("permission denied"));
}

TEST_CASE("Row level security that hides rows is an error, not an empty queue", "[rights]") {
  Database db;
  const std::string role = new_role(db.sql);
  grant(db.connection, role, Part::worker);
  db.send();
  Connection connection(settings_for(db.conninfo + " user=" + role));
  Queue queue(connection, "q");
  queue.check_schema();
  const ClaimedMessage held = queue.claim(1, {Token{1}}, Millis{60000}).at(0);
  db.send();
  db.sql.query("alter table pgforeman.message enable row level security");
  const std::string expected =
      "row level security on pgforeman.message hides rows from role " + role;
  // What is held is neither lost nor done.
  CHECK_THAT(refused([&] { queue.renew(std::vector{held.lease()}, Millis{1000}); }),
             contains(expected));
  const Settlement ended{held.lease(), done()};
  CHECK_THAT(refused([&] { queue.settle(std::span(&ended, 1), {}); }), contains(expected));
  CHECK_THAT(refused([&] { queue.release_claim({Token{1}}); }), contains(expected));
  // A session that is open already finds out by its next claim, a new one at once.
  CHECK_THAT(refused([&] { queue.claim(1, {Token{4}}, Millis{1000}); }), contains(expected));
  CHECK_THAT(refused([&] { queue.check_schema(); }), contains(expected));
  CHECK_THAT(refused([&] { grant(db.connection, role, Part::worker); }),
             contains(expected) && contains("nothing was granted"));
  db.sql.query("create policy mine on pgforeman.message using (queue = 'other')");
  CHECK_THAT(refused([&] { queue.check_schema(); }), contains(expected));
  db.sql.query(
      "drop policy mine on pgforeman.message;"
      "create policy all_rows on pgforeman.message using (true)");
  queue.check_schema();
  CHECK(queue.claim(1, {Token{2}}, Millis{1000}).size() == 1);
  CHECK(queue.claim(1, {Token{3}}, Millis{1000}).empty());
  db.sql.query("create policy night on pgforeman.message as restrictive for select to " + role +
               " using (false)");
  CHECK_THAT(refused([&] { queue.check_schema(); }), contains(expected));
  db.sql.query("alter role " + role + " bypassrls");
  queue.check_schema();
}
