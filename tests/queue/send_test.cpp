#include "queue/database.h"
#include "queue/database_error.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

std::string why_rejected(Database& db, const std::string& sql) {
  try {
    db.sql.query(sql);
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("A claim returns what was sent", "[send]") {
  Database db;
  const auto id =
      db.send(R"({"b": [1, "zwei \"x\" \\ ü"], "a": null})", {2, Millis{0}, R"({"h":1})"});
  const auto claimed = db.claim();
  REQUIRE(claimed.size() == 1);
  const ClaimedMessage& m = claimed[0];
  CHECK(m.id == id);
  CHECK(m.token == db.last_token);
  CHECK(m.attempt == 1);
  CHECK(m.fence == 1);
  CHECK(m.place == place_of(5, id));
  CHECK(m.payload == R"({"b": [1, "zwei \"x\" \\ ü"], "a": null})");
  CHECK(m.headers == R"({"h": 1})");
  CHECK(m.enqueued_at.time_since_epoch().count() ==
        db.sql.number("select (extract(epoch from enqueued_at) * 1000000)::bigint"
                      " from pgforeman.message"));
}

TEST_CASE("The time of sending is exact, and within four digits of years", "[send]") {
  // How many digits of a number a session prints is a setting that any role may have made.
  const bool terse = GENERATE(false, true);
  Database db;
  if (terse) {
    db.sql.query(
        "do $$ begin execute format('alter database %I set extra_float_digits = 0',"
        " current_database()); end $$");
  }
  Connection connection{settings_for(db.conninfo)};
  Queue queue{connection, "q"};
  constexpr std::int64_t kYear1 = -62135596800000000, kYear9999 = 253402214400000000;
  const std::pair<const char*, std::int64_t> times[] = {
      {"2024-05-06 07:08:09.123457 UTC", 1714979289123457},
      {"1969-12-31 23:59:59.999999 UTC", -1},
      {"-infinity", kYear1},
      {"0044-03-15 UTC BC", kYear1},
      {"infinity", kYear9999},
      {"294276-12-31 UTC", kYear9999},
  };
  std::int64_t token = 1000;
  for (const auto& [when, us] : times) {
    db.send();
    db.sql.query("update pgforeman.message set enqueued_at = '" + std::string(when) + "'");
    const auto claimed = queue.claim(1, {Token{++token}}, Millis{60000});
    REQUIRE(claimed.size() == 1);
    CAPTURE(when);
    CHECK(claimed[0].enqueued_at.time_since_epoch().count() == us);
    CHECK(db.settle(claimed[0].lease(), done()) == Settled::done);
  }
}

TEST_CASE("A batch keeps its order in ids and in claims", "[send]") {
  Database db;
  std::vector<std::string> payloads;
  for (int i = 0; i < 2500; ++i) payloads.push_back(std::to_string(i));
  const auto ids = db.producer.send_batch(payloads);
  REQUIRE(ids.size() == payloads.size());
  CHECK(std::is_sorted(ids.begin(), ids.end()));
  // In the table they are in no order.
  db.sql.query("update pgforeman.message set headers = headers where id % 7 = 0");
  const auto claimed = db.claim(2500);
  REQUIRE(claimed.size() == 2500);
  for (std::size_t i = 0; i < claimed.size(); ++i) {
    REQUIRE(claimed[i].payload == payloads[i]);
    REQUIRE(claimed[i].id == ids[i]);
  }
  CHECK(db.producer.send_batch({}).empty());
}

TEST_CASE("A payload comes back as it was sent", "[send]") {
  Database db;
  const std::string sent[] = {
      R"({"b":1, "a" : 1e2,"b":2.50})",
      R"("\u0000 \ud800 is no character")",
      "{\"line\":\n\t1}",
      "[" + std::string(9000, '1') + "]",
      "  null  ",
      "[1e131071,1e131071]",
  };
  for (const std::string& payload : sent) {
    CAPTURE(payload);
    db.send(payload);
    const auto claimed = db.claim();
    REQUIRE(claimed.size() == 1);
    CHECK(claimed[0].payload == payload);
    CHECK(db.settle(claimed[0].lease(), done()) == Settled::done);
  }
}

TEST_CASE("A payload may be text, json, jsonb or an untyped parameter", "[send]") {
  Database db;
  const char* calls[] = {
      "pgforeman.send('q', '{\"a\":1}')",
      "pgforeman.send('q', '{\"a\":1}'::text)",
      "pgforeman.send('q', '{\"a\":1}'::varchar)",
      "pgforeman.send('q', '{\"a\":1}'::json)",
      "pgforeman.send('q', '{\"a\":1}'::jsonb)",
      "pgforeman.send('q', json_build_object('a', 1))",
      "pgforeman.send('q', jsonb_build_object('a', 1))",
      "pgforeman.send('q', row_to_json(r)) from (select 1 as a) r",
      "pgforeman.send(queue => 'q', payload => '{\"a\":1}', priority => 1, delay => '0',"
      " headers => '{}')",
      "pgforeman.send('q', payload => '{\"a\":1}', headers => '{\"h\":1}')",
      "count(*) from pgforeman.send_batch('q', '{1,2}')",
      "count(*) from pgforeman.send_batch('q', '[{\"a\":1},{\"a\":1}]')",
      "count(*) from pgforeman.send_batch('q', array['{\"a\":1}', '1'])",
      "count(*) from pgforeman.send_batch('q', array['{\"a\":1}', '1']::json[])",
      "count(*) from pgforeman.send_batch('q', array['{\"a\":1}', '1']::jsonb[])",
      "count(*) from pgforeman.send_batch('q', (select array_agg(json_build_object('a', 1))"
      " from generate_series(1, 2)))",
  };
  int sent = 0;
  for (const std::string call : calls) {
    CAPTURE(call);
    CHECK(db.sql.number("select " + call) > 0);
    sent += call.find("send_batch") == std::string::npos ? 1 : 2;
    CHECK(db.left() == sent);
  }
  // As drivers do that leave it to the server what a parameter is.
  for (const std::string call :
       {"select pgforeman.send($1, $2)", "select count(*) from pgforeman.send_batch($1, $2)",
        "select pgforeman.send($1, $2, headers => $3)"}) {
    CAPTURE(call);
    db.sql.query("prepare untyped as " + call);
    CHECK(db.sql.query("select parameter_types[2] from pg_prepared_statements"
                       " where name = 'untyped'") == "text");
    db.sql.query("deallocate untyped");
  }
  CHECK(db.sql.query("select bool_and(payload::jsonb in ('{\"a\": 1}', '1', '2'))"
                     " from pgforeman.message") == "t");
}

TEST_CASE("A payload that no claim could return in UTF-8 is refused at send", "[send]") {
  Sql server(ThrowawayPostgres::shared().conninfo("postgres"));
  server.query("create database gaps encoding 'WIN1252' locale 'C' template template0");
  Connection connection(settings_for(ThrowawayPostgres::shared().conninfo("gaps")));
  migrate(connection, {});
  Sql sql(ThrowawayPostgres::shared().conninfo("gaps"));
  sql.query("set client_encoding = 'WIN1252'");
  const auto refused = [&](const std::string& call) {
    try {
      sql.query("select " + call);
    } catch (const std::exception& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(refused("pgforeman.send('q', '\"caf\xe9\"')").empty());
  CHECK_THAT(refused("pgforeman.send('q', '\"\x81\"')"), contains("no equivalent in encoding"));
  CHECK_THAT(refused("pgforeman.send('q', '1', headers => '{\"h\": \"\x81\"}')"),
             contains("no equivalent in encoding"));
  CHECK_THAT(refused("pgforeman.send_batch('q', array['1', '\"\x81\"'])"),
             contains("no equivalent in encoding"));
  const auto claimed = Queue(connection, "q").claim(5, {Token{1}}, Millis{1000});
  REQUIRE(claimed.size() == 1);
  CHECK(claimed[0].payload == "\"caf\xc3\xa9\"");
}

TEST_CASE("Urgent messages are claimed first, and each priority in its order", "[send]") {
  Database db;
  for (const int priority : {3, 2, 1, 0, 2, 0}) {
    db.send(std::to_string(priority), {priority, Millis{0}, "{}"});
  }
  std::string order;
  for (const auto& m : db.claim(10)) order += m.payload;
  CHECK(order == "001223");
}

TEST_CASE("A delayed message is not claimable before its time, and is after", "[send]") {
  Database db;
  db.send("1", {2, Millis{150}, "{}"});
  db.send("2", {2, Millis{3600000}, "{}"});
  CHECK(db.claim(10).empty());
  std::vector<ClaimedMessage> claimed;
  CHECK(eventually([&] {
    db.queue.tick();
    claimed = db.claim(10);
    return !claimed.empty();
  }));
  REQUIRE(claimed.size() == 1);
  CHECK(claimed[0].payload == "1");
  CHECK(lane_of(claimed[0].place) == 4);
  CHECK(
      db.sql.query(
          "select clock_timestamp() >= due_at from pgforeman.message where payload::text = '1'") ==
      "t");
}

TEST_CASE("A send in a transaction that rolls back leaves nothing", "[send]") {
  Database db;
  db.sql.query("begin; select pgforeman.send('q', '1'); rollback");
  CHECK(db.left() == 0);
}

TEST_CASE("A wrong argument of send is refused with its name, its value and what is allowed",
          "[send]") {
  Database db;
  const auto refused = [&](const std::string& call) { return why_rejected(db, "select " + call); };
  CHECK_THAT(refused("pgforeman.send('a b', '1')"), contains("queue name 'a b'"));
  CHECK_THAT(refused("pgforeman.send('', '1')"), contains("1 to 63 characters"));
  CHECK_THAT(refused("pgforeman.send(E'a\\n', '1')"), contains("queue name"));
  CHECK_THAT(refused("pgforeman.send(null, '1')"), contains("queue name NULL"));
  CHECK_THAT(refused("pgforeman.send(repeat('x', 64), '1')"), contains("queue name"));
  CHECK(refused("pgforeman.send(repeat('x', 63), '1')").empty());
  CHECK_THAT(refused("pgforeman.send('q', '1', 4)"), contains("priority 4"));
  CHECK_THAT(refused("pgforeman.send('q', '1', -1)"), contains("0 (urgent)"));
  CHECK_THAT(refused("pgforeman.send('q', '1', delay => '-1s')"), contains("delay -00:00:01"));
  CHECK_THAT(refused("pgforeman.send('q', null)"), contains("payload is NULL"));
  CHECK_THAT(refused("pgforeman.send('q', '1', headers => '[]')"),
             contains("headers of type array"));
  CHECK_THAT(refused("pgforeman.send_batch('q', '{1,NULL}')"), contains("payload number 2"));
  CHECK_THAT(refused("pgforeman.send_batch('q', '[1,')"), contains("json"));
  // What a claim could not return.
  CHECK_THAT(refused("pgforeman.send('q', '\"' || repeat('x', 268435456) || '\"')"),
             contains("payload has 268435458 bytes: at most 268435456"));
  CHECK_THAT(refused("pgforeman.send('q', '1', headers => jsonb_build_object('n',"
                     " ('[' || repeat('1e131071,', 9) || '0]')::jsonb))"),
             contains("headers of 1179") && contains("at most 1048576"));
  CHECK(db.left() == 1);
}

TEST_CASE("A batch that PostgreSQL refuses names the payload", "[send]") {
  Database db;
  std::vector<std::string> payloads(100, "{\"ok\":true}");
  CHECK_FALSE(db.producer.find_rejected(payloads).has_value());
  payloads[71] = "{\"a\":\"\\u00\"}";
  payloads[90] = "nope";
  try {
    db.producer.send_batch(payloads);
    FAIL("it was taken");
  } catch (const DatabaseError& e) {
    CHECK(e.kind() == DatabaseError::Kind::rejected);
  }
  CHECK(db.left() == 0);
  auto bad = db.producer.find_rejected(payloads);
  REQUIRE(bad.has_value());
  CHECK(bad->index == 71);
  CHECK_THAT(bad->why, contains("json"));
  payloads[71] = "1";
  CHECK(db.producer.find_rejected(payloads)->index == 90);
  payloads[3] = std::string("1\0 2", 4);
  CHECK(db.producer.find_rejected(payloads)->index == 3);
  payloads[0] = "\"\xff\"";
  CHECK(db.producer.find_rejected(payloads)->index == 0);
}
