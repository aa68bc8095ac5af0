#include <algorithm>
#include <cmath>

#include "process/settle_each.h"
#include "queue/database.h"
#include "queue/dead_letters.h"

using namespace pgforeman;
using namespace pgforeman::test;

TEST_CASE("One settle call carries out each outcome and returns them in order", "[settle]") {
  Database db;
  for (int i = 0; i < 6; ++i) db.send(std::to_string(i));
  const auto m = db.claim(6);
  REQUIRE(m.size() == 6);
  const std::vector<Settlement> settlements = {
      {m[3].lease(), released()},      {m[0].lease(), done()},      {m[1].lease(), retry("r")},
      {{m[4].id, Token{999}}, done()}, {m[2].lease(), dead("bad")}, {{123456, Token{7}}, retry()},
      {m[5].lease(), done()}};
  const auto settled = db.queue.settle(settlements, RetryRule{});
  CHECK(settled == std::vector{Settled::released, Settled::done, Settled::retried,
                               Settled::lost_lease, Settled::dead, Settled::lost_lease,
                               Settled::done});
  CHECK(db.sql.rows("select payload, state, attempt, place >> 57, token <> 0, last_error from "
                    "pgforeman.message order by payload::text") ==
        std::vector<Row>{{"1", "1", "1", "2", "f", "r"},
                         {"3", "0", "0", "2", "f", "NULL"},
                         {"4", "0", "0", "2", "t", "NULL"}});
  CHECK(db.sql.rows("select payload, attempt, reason, error from pgforeman.dead_message") ==
        std::vector<Row>{{"2", "1", "handler", "bad"}});
  CHECK(db.queue.settle({}, RetryRule{}).empty());
}

TEST_CASE("A released message is claimable at once, before fresh ones, without an attempt",
          "[settle]") {
  Database db;
  const auto id = db.send("1");
  const auto first = db.claim();
  db.send("2");
  CHECK(db.settle(first[0].lease(), released()) == Settled::released);
  const auto again = db.claim();
  REQUIRE(again.size() == 1);
  CHECK(again[0].id == id);
  CHECK(again[0].attempt == 1);
  CHECK(again[0].fence == 2);
}

TEST_CASE("A retry waits backoff times two per attempt, within 20 % and its maximum", "[settle]") {
  Database db;
  double least = 10, most = 0;
  for (int i = 0; i < 300; ++i) {
    const int attempt = 1 + i % 6;
    const double seconds =
        std::stod(db.sql.query("select extract(epoch from pgforeman.retry_delay(" +
                               std::to_string(attempt) + ", '100ms', '1s'))"));
    const double expected = std::min(1.0, 0.1 * std::pow(2, attempt - 1));
    REQUIRE(seconds >= expected * 0.8 - 1e-6);
    REQUIRE(seconds <= expected * 1.2 + 1e-6);
    least = std::min(least, seconds / expected);
    most = std::max(most, seconds / expected);
  }
  CHECK(least < 0.85);  // it does vary
  CHECK(most > 1.15);
  CHECK(db.sql.number("select extract(epoch from pgforeman.retry_delay(100000, '1 day', '30 days'))"
                      "::bigint") <= 36 * 86400);

  for (int i = 0; i < 20; ++i) db.send();
  std::vector<Settlement> settlements;
  for (const auto& m : db.claim(20)) settlements.push_back({m.lease(), retry()});
  db.queue.settle(settlements, RetryRule{5, Millis{100000}, Millis{300000}});
  CHECK(db.sql.number("select count(distinct due_at) from pgforeman.message where state = 1 and "
                      "due_at - clock_timestamp() between '75s' and '120s'") == 20);
}

TEST_CASE("The handler's own delay wins over the backoff", "[settle]") {
  Database db;
  db.send();
  db.settle(db.claim()[0].lease(), retry("later", Millis{7200000}));
  CHECK(db.sql.query("select due_at - clock_timestamp() between '7190s' and '7200s' "
                     "from pgforeman.message") == "t");
  CHECK(db.claim().empty());

  db.send();
  const auto now = db.claim();
  db.settle(now[0].lease(), retry("at once", Millis{0}));
  const auto again = db.claim();
  REQUIRE(again.size() == 1);
  CHECK(again[0].id == now[0].id);
  CHECK(again[0].attempt == 2);
}

TEST_CASE("A message dies after its last attempt, with the last error", "[settle]") {
  Database db;
  const auto id = db.send("{\"a\":1}", {1, Millis{0}, "{\"h\":2}"});
  const RetryRule rule{3, Millis{1}, Millis{1}};
  for (int attempt = 1; attempt <= 3; ++attempt) {
    std::vector<ClaimedMessage> claimed;
    REQUIRE(eventually([&] {
      db.queue.tick();
      return !(claimed = db.claim()).empty();
    }));
    CHECK(claimed[0].attempt == attempt);
    CHECK(claimed[0].fence == attempt);
    CHECK(db.settle(claimed[0].lease(), retry("error " + std::to_string(attempt)), rule) ==
          (attempt < 3 ? Settled::retried : Settled::dead));
  }
  CHECK(db.left() == 0);
  DeadLetters letters(db.connection, {"q", "", ""});
  const auto letter = letters.read_letter(letters.with_id(id).at(0));
  REQUIRE(letter.has_value());
  CHECK(letter->reason == "max_attempts");
  CHECK(letter->error == "error 3");
  CHECK(letter->attempts == 3);
  CHECK(letter->claims == 3);
  CHECK(letter->priority == 1);
  CHECK(letter->payload == "{\"a\":1}");
  CHECK(letter->headers == "{\"h\": 2}");
}

TEST_CASE("Errors with quotes, backslashes, braces, NULL and NUL bytes survive settling",
          "[settle]") {
  Database db;
  const std::vector<std::string> errors = {"NULL", "{\"a\\\": 'b'}", "", std::string("a\0b", 3),
                                           "ü\nline 2"};
  for (std::size_t i = 0; i < errors.size(); ++i) db.send(std::to_string(i));
  const auto claimed = db.claim(10);
  std::vector<Settlement> settlements;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    settlements.push_back({claimed[i].lease(), dead(errors[i])});
  }
  db.queue.settle(settlements, RetryRule{});
  CHECK(db.sql.rows("select error from pgforeman.dead_message order by id") ==
        std::vector<Row>{{"NULL"}, {errors[1]}, {"NULL"}, {"ab"}, {errors[4]}});
  CHECK(db.sql.number("select count(*) from pgforeman.dead_message where error is null") == 1);
}

TEST_CASE("An error that the database's encoding cannot hold does not keep its message unsettled",
          "[settle]") {
  auto& server = ThrowawayPostgres::shared();
  Sql(server.conninfo())
      .query("create database latin1 encoding 'LATIN1' template template0 locale 'C'");
  Connection connection(settings_for(server.conninfo("latin1")));
  migrate(connection, {});
  Producer(connection, "q").send("1");
  Queue queue(connection, "q");
  const auto message = queue.claim(1, {Token{7}}, Millis{60000});
  REQUIRE(message.size() == 1);
  const Settlement one{message[0].lease(), dead("kaputt \u2192")};
  CHECK(queue.settle(std::span(&one, 1), RetryRule{}).at(0) == Settled::dead);
  CHECK(Sql(server.conninfo("latin1")).query("select error from pgforeman.dead_message") ==
        "kaputt ???");
}

TEST_CASE("Attempts and crashes have budgets of their own", "[settle]") {
  Database db;
  const RetryRule rule{3, Millis{0}, Millis{0}, 2};
  db.send("1");
  const auto again = [&] {
    db.queue.tick();
    const auto held = db.claim();
    REQUIRE(held.size() == 1);
    return held[0];
  };
  CHECK(db.settle(again().lease(), retry("one"), rule) == Settled::retried);
  CHECK(db.settle(again().lease(), crash("two", Millis{0}), rule) == Settled::retried);
  // Due now, without a tick, in the redelivered lane; its handler gets its attempts only.
  const auto held = db.claim();
  REQUIRE(held.size() == 1);
  CHECK(held[0].attempt == 2);
  CHECK(lane_of(held[0].place) == 4);
  CHECK(db.settle(held[0].lease(), retry("three"), rule) == Settled::retried);
  CHECK(db.settle(again().lease(), crash("four"), rule) == Settled::dead);
  CHECK(db.sql.rows("select attempt, crashes, reason, error, claims from pgforeman.dead_message") ==
        std::vector<Row>{{"2", "2", "max_crashes", "four", "4"}});
}

TEST_CASE("A message's history has each failed run", "[settle]") {
  Database db;
  db.send("1");
  const auto run = [&](Outcome outcome, const Run& where) {
    db.queue.tick();
    const auto held = db.claim();
    REQUIRE(held.size() == 1);
    const Settlement one{held[0].lease(), std::move(outcome), where};
    return db.queue.settle(std::span(&one, 1), RetryRule{9, Millis{0}, Millis{0}, 2}).at(0);
  };
  Outcome failed = retry("exited with code 3: no \xc3\xa4pfel");
  failed.evidence = {Cause::exit_code, 3, 0, 2048, "no \xc3\xa4pfel"};
  CHECK(run(failed, {2, 1700000000123}) == Settled::retried);
  CHECK(run(released(), {}) == Settled::released);
  Outcome killed = crash("consumer killed by SIGSEGV while it ran this message");
  killed.evidence = {Cause::consumer_crash, -1, 11, 0, std::string("say\0 \"it\"", 9)};
  CHECK(run(killed, {0, 1}) == Settled::retried);
  CHECK(run(killed, {0, 1}) == Settled::dead);
  CHECK(db.sql.rows("select h->>'cause', h->>'exit_code', h->>'signal', h->>'peak_rss_kib',"
                    " h->>'slot', h->>'started', h->>'error', h->>'stderr'"
                    " from pgforeman.dead_message, jsonb_array_elements(history) h") ==
        std::vector<Row>{
            {"exit_code", "3", "NULL", "2048", "2", "2023-11-14T22:13:20.123Z",
             "exited with code 3: no \xc3\xa4pfel", "NULL"},
            {"consumer_crash", "NULL", "SIGSEGV", "NULL", "0", "1970-01-01T00:00:00.001Z",
             "consumer killed by SIGSEGV while it ran this message", "say \"it\""},
            {"consumer_crash", "NULL", "SIGSEGV", "NULL", "0", "1970-01-01T00:00:00.001Z",
             "consumer killed by SIGSEGV while it ran this message", "say \"it\""}});
  CHECK(db.sql.query("select bool_and(h ? 'host' and (h->>'seconds')::float8 >= 0)"
                     " from pgforeman.dead_message, jsonb_array_elements(history) h") == "t");
}

TEST_CASE("A history keeps the last twenty runs", "[settle]") {
  Database db;
  db.send("1");
  for (int i = 1; i <= 25; ++i) {
    db.queue.tick();
    Outcome outcome = retry("run " + std::to_string(i));
    outcome.evidence.cause = Cause::retry;
    REQUIRE(db.settle(db.claim().at(0).lease(), outcome, RetryRule{99, Millis{0}, Millis{0}}) ==
            Settled::retried);
  }
  CHECK(db.sql.rows("select jsonb_array_length(history), history->0->>'error',"
                    " history->-1->>'error' from pgforeman.message") ==
        std::vector<Row>{{"20", "run 6", "run 25"}});
}

TEST_CASE("Claims without a result are counted, but not those released without a run", "[settle]") {
  Database db;
  db.send("1");
  const auto expire = [&] {
    db.sql.query("update pgforeman.message set visible_at = '-infinity'");
  };
  CHECK(db.claim().at(0).unfinished_claims == 0);
  expire();  // a host was lost
  CHECK(db.claim().at(0).unfinished_claims == 1);
  expire();
  auto held = db.claim().at(0);
  CHECK(held.unfinished_claims == 2);
  db.settle(held.lease(), released());  // never started: no sign of anything
  held = db.claim().at(0);
  CHECK(held.unfinished_claims == 2);
  CHECK(db.queue.release_claim({held.token}) == 1);
  held = db.claim().at(0);
  CHECK(held.unfinished_claims == 2);
  Outcome stopped = released();  // it ran, and the fleet stopped
  stopped.evidence.cause = Cause::shutdown;
  db.settle(held.lease(), stopped);
  held = db.claim().at(0);
  CHECK(held.unfinished_claims == 3);
  Outcome max_claims_exceeded{Outcome::Kind::max_claims_exceeded};
  max_claims_exceeded.evidence.cause = Cause::max_claims_exceeded;
  CHECK(db.settle(held.lease(), max_claims_exceeded) == Settled::dead);
  CHECK(db.sql.rows("select attempt, crashes, reason from pgforeman.dead_message") ==
        std::vector<Row>{{"0", "0", "max_claims"}});
  // Back from the dead it starts anew, but its fence does not.
  DeadLetters(db.connection, {"q", "max_claims", ""})
      .retry_before(db.sql.query("select clock_timestamp()"), 10);
  const auto fresh = db.claim().at(0);
  CHECK(fresh.unfinished_claims == 0);
  CHECK(fresh.fence == held.fence + 1);
}

TEST_CASE("Any number of locked rows does not keep others from being settled", "[settle]") {
  Database db;
  for (int i = 0; i < 100; ++i) db.send();
  std::vector<Settlement> settlements;
  for (const auto& message : db.claim(100)) settlements.push_back({message.lease(), done()});
  REQUIRE(settlements.size() == 100);
  const auto count = [&](const std::vector<Settled>& results, Settled which) {
    return std::count(results.begin(), results.end(), which);
  };
  Sql somebody(db.conninfo);
  somebody.query("begin; select 1 from pgforeman.message where id % 2 = 0 for update");
  const auto start = Clock::now();
  auto results = settle_each(db.queue, settlements, RetryRule{});
  CHECK(Clock::now() - start < std::chrono::seconds(1));
  CHECK(count(results, Settled::done) == 50);
  CHECK(count(results, Settled::locked) == 50);
  CHECK(db.sql.number("select count(*) from pgforeman.message") == 50);
  somebody.query("commit");
  results = settle_each(db.queue, settlements, RetryRule{});
  CHECK(count(results, Settled::done) == 50);  // and those of before are no longer there
  CHECK(db.sql.number("select count(*) from pgforeman.message") == 0);

  // A lock on the whole table is one on each row.
  db.send();
  settlements = {{db.claim(1).at(0).lease(), done()}};
  somebody.query("begin; lock table pgforeman.message in exclusive mode");
  CHECK(count(settle_each(db.queue, settlements, RetryRule{}), Settled::locked) == 1);
  somebody.query("commit");
  CHECK(count(settle_each(db.queue, settlements, RetryRule{}), Settled::done) == 1);
}

TEST_CASE("One refused message among two hundred costs few calls", "[settle]") {
  Database db;
  db.sql.query(
      "create sequence calls;"
      "create function refuse() returns trigger language plpgsql as"
      " $$ begin raise exception 'not here' using errcode = '22023'; end $$;"
      "create function note_call() returns trigger language plpgsql as"
      " $$ begin perform nextval('public.calls'); return null; end $$;"
      "create trigger refuse before insert on pgforeman.dead_message for each row"
      " execute function refuse();"
      "create trigger note_call before delete on pgforeman.message for each statement"
      " execute function note_call()");
  for (int i = 0; i < 200; ++i) db.send();
  std::vector<Settlement> settlements;
  for (const auto& message : db.claim(200)) settlements.push_back({message.lease(), done()});
  REQUIRE(settlements.size() == 200);
  settlements[77].outcome = Outcome{Outcome::Kind::dead};
  const auto results = settle_each(db.queue, settlements, RetryRule{});
  for (std::size_t i = 0; i < results.size(); ++i) {
    CHECK(results[i] == (i == 77 ? Settled::refused : Settled::done));
  }
  CHECK(db.sql.number("select id from pgforeman.message") == settlements[77].lease.id);
  CHECK(db.sql.number("select last_value from calls") <= 60);  // a few statements each
}

TEST_CASE("A settle that waits for a lock elsewhere delays few others", "[settle]") {
  Database db;
  for (int i = 0; i < 100; ++i) db.send();
  std::vector<Settlement> settlements;
  for (const auto& message : db.claim(100)) settlements.push_back({message.lease(), done()});
  REQUIRE(settlements.size() == 100);
  settlements.front().outcome = Outcome{Outcome::Kind::dead};
  Sql somebody(db.conninfo);
  somebody.query("begin; lock table pgforeman.dead_message in share mode");
  const auto settle = [&] {
    const auto results = settle_each(db.queue, settlements, RetryRule{});
    std::vector<Settlement> unsettled;
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (is_deferred(results[i])) unsettled.push_back(settlements[i]);
    }
    settlements = unsettled;
    return unsettled.size();
  };
  CHECK(settle() <= 50);
  CHECK(eventually([&] { return settle() == 1; }));
  CHECK(db.sql.number("select count(*) from pgforeman.message") == 1);
  somebody.query("commit");
  CHECK(settle() == 0);
}

TEST_CASE("A settle that fails by a trigger affects its own message alone, with any error",
          "[settle]") {
  Database db;
  // Errors by which a missing right, schema or connection, or a standby, is known too.
  const auto refused = GENERATE(as<std::string>{}, "42501", "42883", "42P01", "42703", "3F000",
                                "28000", "25006", "P0001", "23514");
  db.sql.query(
      "create function refuse() returns trigger language plpgsql as"
      " $$ begin raise exception 'not here' using errcode = '" +
      refused +
      "'; end $$;"
      "create trigger refuse before insert on pgforeman.dead_message for each row"
      " execute function refuse()");
  for (int i = 0; i < 20; ++i) db.send();
  std::vector<Settlement> settlements;
  for (const auto& message : db.claim(20)) settlements.push_back({message.lease(), done()});
  settlements.at(7).outcome = dead("x");
  INFO(refused);
  const auto results = settle_each(db.queue, settlements, RetryRule{});
  for (std::size_t i = 0; i < results.size(); ++i) {
    CHECK(results[i] == (i == 7 ? Settled::refused : Settled::done));
  }
  CHECK(db.left() == 1);
}

TEST_CASE("A transient error of a trigger delays its own message alone", "[settle]") {
  Database db;
  const auto passes =
      GENERATE(as<std::string>{}, "40001", "53100", "58030", "XX000", "08006", "55P03");
  db.sql.query(
      "create function refuse() returns trigger language plpgsql as"
      " $$ begin raise exception 'not now' using errcode = '" +
      passes +
      "'; end $$;"
      "create trigger refuse before insert on pgforeman.dead_message for each row"
      " execute function refuse()");
  for (int i = 0; i < 20; ++i) db.send();
  std::vector<Settlement> settlements;
  for (const auto& message : db.claim(20)) settlements.push_back({message.lease(), done()});
  settlements.at(7).outcome = dead("x");
  INFO(passes);
  const auto results = settle_each(db.queue, settlements, RetryRule{});
  for (std::size_t i = 0; i < results.size(); ++i) {
    CHECK(results[i] == (i != 7              ? Settled::done
                         : passes == "55P03" ? Settled::locked
                                             : Settled::failed));
  }
  CHECK(db.left() == 1);
  db.sql.query("drop trigger refuse on pgforeman.dead_message");
  const auto again = settle_each(db.queue, std::span(&settlements[7], 1), RetryRule{});
  CHECK(again.at(0) == Settled::dead);
}

TEST_CASE("A missing right is not charged to a message, and the remedy is named", "[settle]") {
  Database db;
  db.sql.query(
      "create role clerk_of_settles login; grant usage on schema pgforeman to clerk_of_settles;"
      "grant execute on all functions in schema pgforeman to clerk_of_settles;"
      "grant select on pgforeman.schema_version to clerk_of_settles;"
      "grant select, insert, update, delete on pgforeman.message, pgforeman.dead_message"
      " to clerk_of_settles");
  db.send();
  Connection connection(settings_for(db.conninfo + " user=clerk_of_settles"));
  Queue queue(connection, "q");
  const auto claimed = queue.claim(1, {Token{1}}, Millis{60000});
  REQUIRE(claimed.size() == 1);
  const std::vector<Settlement> settlements = {{claimed[0].lease(), dead("x")}};
  db.sql.query("revoke insert on pgforeman.dead_message from clerk_of_settles");
  try {
    static_cast<void>(settle_each(queue, settlements, RetryRule{}));
    FAIL("it may not bury");
  } catch (const DatabaseError& error) {
    CHECK(error.kind() == DatabaseError::Kind::permission);
    CHECK_THAT(error.what(), contains("dead_message") && contains("migrate --grant ROLE"));
  }
  db.sql.query("grant insert on pgforeman.dead_message to clerk_of_settles");
  CHECK(settle_each(queue, settlements, RetryRule{}).at(0) == Settled::dead);
  db.sql.query("drop owned by clerk_of_settles; drop role clerk_of_settles");
}

TEST_CASE("A message that cannot be read becomes a dead letter without what is damaged",
          "[damage]") {
  Database db;
  db.sql.query("create extension pg_surgery");
  const std::string pages = db.sql.query(
      "select reltoastrelid::regclass from pg_class where oid = 'pgforeman.message'::regclass");
  const std::string noise = "(select jsonb_agg(md5(random()::text)) from generate_series(1, 500))";
  // Sends and takes away what was stored outside of its row.
  const auto send_damaged = [&](const std::string& arguments) {
    db.sql.query("begin");
    const auto id = db.sql.number("select pgforeman.send('q', " + arguments + ")");
    db.sql.query("select heap_force_kill('" + pages + "', array(select ctid from " + pages +
                 " where xmin = pg_current_xact_id()::xid)); commit");
    return id;
  };
  const auto no_payload = send_damaged(noise);
  const auto no_headers = send_damaged("'1', headers => jsonb_build_object('x', " + noise + ")");
  const auto good = db.send("2");
  const auto claimed = db.queue.claim_each(3, db.next_claim(), Millis{60'000});
  REQUIRE(claimed.messages.size() == 3);
  std::vector<Settlement> all;
  for (const auto& m : claimed.messages) all.push_back({m.lease(), dead("x")});
  // Together with others it fails, so that none of these loses its payload.
  CHECK_THROWS_AS(db.queue.settle(all, RetryRule{}), DatabaseError);
  CHECK(db.left() == 3);
  // An error that looks like damage takes nothing from what can be read.
  db.sql.query(
      "create function damaged() returns trigger language plpgsql as $$ begin"
      " raise 'missing chunk' using errcode = 'data_corrupted'; end $$;"
      "create trigger damaged before insert on pgforeman.dead_message"
      " for each row execute function damaged()");
  CHECK_THROWS_AS(db.settle(claimed.messages[2].lease(), dead("x")), DatabaseError);
  db.sql.query("drop trigger damaged on pgforeman.dead_message");
  for (const auto& m : claimed.messages) {
    CHECK(db.settle(m.lease(), dead("x")) == Settled::dead);
  }
  CHECK(db.sql.rows("select id, payload, headers, split_part(error, ': missing', 1)"
                    " from pgforeman.dead_message order by id") ==
        std::vector<Row>{
            {std::to_string(no_payload), "null", "{}", "x; its payload is lost"},
            {std::to_string(no_headers), "1", "{}", "x; its headers and history are lost"},
            {std::to_string(good), "2", "{}", "x"}});
}
