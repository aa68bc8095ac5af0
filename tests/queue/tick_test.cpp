#include <algorithm>

#include "queue/database.h"
#include "queue/queue_names.h"

using namespace pgforeman;
using namespace pgforeman::test;

TEST_CASE("A tick promotes due messages and returns when the next one is due", "[tick]") {
  Database db;
  CHECK_FALSE(db.queue.tick().times.next_due().has_value());
  db.sql.query("select pgforeman.send('q', '1', delay => '1 hour')");
  db.sql.query("select pgforeman.send('other', '1', delay => '1 ms')");
  for (int i = 0; i < 5; ++i) db.send("2", {2, Millis{1}, "{}"});
  std::int64_t promoted = 0;
  Tick tick;
  REQUIRE(eventually([&] {
    tick = db.queue.tick();
    promoted += tick.promoted;
    return promoted >= 5;
  }));
  CHECK(promoted == 5);
  REQUIRE(tick.times.next_due().has_value());
  CHECK(*tick.times.next_due() > Millis{3500000});
  CHECK(*tick.times.next_due() <= Millis{3600000});
  CHECK(tick.counts.ready == 5);
  CHECK(tick.counts.scheduled == 1);
}

TEST_CASE("A tick counts each state of its own queue, and the oldest claimable age", "[tick]") {
  Database db;
  CHECK(db.queue.tick().counts.oldest_seconds == 0);
  for (int i = 0; i < 6; ++i) db.send();
  db.sql.query("select pgforeman.send('other', '1')");
  const auto claimed = db.claim(4);
  db.settle(claimed[0].lease(), dead("x"));
  db.settle(claimed[1].lease(), retry());
  db.sql.query("update pgforeman.message set enqueued_at = now() - interval '1 hour'");
  const auto counts = db.queue.tick().counts;
  CHECK(counts.ready == 2);
  CHECK(counts.running == 2);
  CHECK(counts.scheduled == 1);
  CHECK(counts.dead == 1);
  CHECK_FALSE(counts.capped);
  CHECK(counts.oldest_seconds == Approx(3600).margin(30));
}

TEST_CASE("look counts what is claimable above the marks, and when the next one is due", "[tick]") {
  Database db;
  CHECK(db.queue.peek({}, 9).ready == 0);
  CHECK_FALSE(db.queue.peek({}, 9).times.next_due());
  const auto first = db.send();
  db.send();
  db.send("1", {0, {}, "{}"});
  db.send("2", {2, Millis{3'600'000}, "{}"});
  db.sql.query("select pgforeman.send('other', '1')");
  CHECK(db.queue.peek({}, 9).ready == 3);
  CHECK(db.queue.peek({}, 2).ready == 2);
  CHECK(db.queue.peek(fresh_mark(first), 9).ready == 2);
  const auto due = db.queue.peek({}, 9).times.next_due();
  REQUIRE(due);
  CHECK(*due > Millis{3'500'000});
  db.claim(9);
  CHECK(db.queue.peek({}, 9).ready == 0);
}

TEST_CASE("Counting alone gives the same figures and promotes nothing", "[tick]") {
  Database db;
  db.sql.query("select pgforeman.send('q', '1', delay => '1 ms')");
  db.send();
  db.send();
  db.claim();
  REQUIRE(eventually([&] {
    return db.sql.query(
               "select due_at < clock_timestamp() from pgforeman.message "
               "where state = 1") == "t";
  }));
  const auto counts = db.queue.counts();
  CHECK(counts.ready == 1);
  CHECK(counts.running == 1);
  CHECK(counts.scheduled == 1);
  CHECK(db.queue.tick().counts.ready == 2);
}

TEST_CASE("The age of a delayed message counts from when it was due", "[tick]") {
  Database db;
  db.send("1", {2, Millis{1}, "{}"});
  db.sql.query("update pgforeman.message set enqueued_at = now() - interval '1 hour'");
  REQUIRE(eventually([&] { return db.queue.tick().counts.ready == 1; }));
  CHECK(db.queue.tick().counts.oldest_seconds < 60);
}

TEST_CASE("Other fleets are notified of messages that become claimable", "[tick]") {
  Database db;
  Connection elsewhere{settings_for(db.conninfo)};
  Queue other{elsewhere, "q"};
  other.listen();
  REQUIRE(eventually([&] { return !other.notifications().empty(); }));  // its test
  // Notifications come in the order of their commits: one of our own ends those there are.
  const auto told = [&] {
    db.sql.query("select pg_notify('pgforeman', 'q test')");
    bool now = false;
    REQUIRE(eventually([&] {
      const auto news = other.notifications();
      now = now || std::find(news.begin(), news.end(), Queue::Notification::now) != news.end();
      return std::find(news.begin(), news.end(), Queue::Notification::test) != news.end();
    }));
    return now;
  };
  for (int i = 0; i < 3; ++i) db.send();
  REQUIRE(told());
  const auto held = db.claim(3);
  db.settle(held[0].lease(), retry("x", Millis{0}));
  CHECK(told());
  db.settle(held[1].lease(), retry("x", Millis{1}));
  REQUIRE(eventually([&] { return db.queue.tick().promoted == 1; }));
  CHECK(told());
  CHECK(db.queue.release_claim({held[2].token}) == 1);
  CHECK(told());
  const auto late = db.send();
  REQUIRE(told());
  CHECK(db.queue.sweep(lane_upto(5, late), 12).moved == 1);
  CHECK(told());
  CHECK(db.queue.tick().promoted == 0);
  CHECK(db.queue.sweep(lane_upto(5, late), 12).moved == 0);
  CHECK_FALSE(told());
  db.settle(db.claim(1).at(0).lease(), dead("x"));
  CHECK(db.sql.query("select pgforeman.dead_retry()") != "");
  CHECK(told());
}

TEST_CASE("Counts are limited, and flagged as capped", "[tick]") {
  Database db;
  db.sql.query("select count(pgforeman.send('q', '1')) from generate_series(1, 10001)");
  const auto counts = db.queue.tick().counts;
  CHECK(counts.ready == 10000);
  CHECK(counts.capped);
  db.claim(1);
  db.settle({1, db.last_token}, done());
  CHECK_FALSE(db.queue.tick().counts.capped);
}

TEST_CASE("One tick promotes a limited number", "[tick]") {
  Database db;
  db.sql.query(
      "select count(pgforeman.send('q', '1', delay => '1 ms')) "
      "from generate_series(1, 10050)");
  const auto first = db.queue.tick();
  CHECK(first.promoted == 10000);
  CHECK(first.times.next_due() == Millis{0});
  CHECK(db.queue.tick().promoted == 50);
}

TEST_CASE("A sequence that is behind is detected and set forward, never back", "[tick]") {
  Database db;
  CHECK_FALSE(db.queue.tick().ids_behind);
  for (int i = 0; i < 3; ++i) db.send();
  CHECK_FALSE(db.queue.tick().ids_behind);
  CHECK_FALSE(db.queue.advance_ids());
  // A send that is under way is not taken for one.
  Sql sender(db.conninfo);
  sender.query("begin; select pgforeman.send('q', '1')");
  CHECK_FALSE(db.queue.tick().ids_behind);
  sender.query("commit");
  CHECK_FALSE(db.queue.tick().ids_behind);

  db.sql.query("select setval('pgforeman.message_id_seq', 1, false)");
  CHECK(db.queue.tick().ids_behind);
  const auto advanced = db.queue.advance_ids();
  REQUIRE(advanced);
  CHECK(advanced->from == 0);
  CHECK(advanced->to > 4);
  CHECK_FALSE(db.queue.tick().ids_behind);
  CHECK_FALSE(db.queue.advance_ids());
  CHECK(db.send() == advanced->to + 1);

  // By dead letters alone, and with just the rights of a fleet.
  for (const auto& message : db.claim(9)) db.settle(message.lease(), dead("x"));
  db.sql.query(
      "select setval('pgforeman.message_id_seq', 2);"
      "create role clerk_of_ids login; grant usage on schema pgforeman to clerk_of_ids;"
      "grant execute on all functions in schema pgforeman to clerk_of_ids;"
      "grant select, update on pgforeman.message, pgforeman.dead_message to clerk_of_ids");
  {
    Connection connection(settings_for(db.conninfo + " user=clerk_of_ids"));
    Queue queue(connection, "q");
    CHECK(queue.tick().ids_behind);
    CHECK(queue.advance_ids()->to > advanced->to);
  }
  db.sql.query("drop owned by clerk_of_ids; drop role clerk_of_ids");
}

TEST_CASE("In a restored or copied database ids begin far above the former ones", "[tick]") {
  Database db;
  const auto before = db.send();
  db.sql.query("update pgforeman.home set identity = '16384 7000000000000000000 1'");
  CHECK(db.queue.tick().ids_behind);
  const auto advanced = db.queue.advance_ids();
  REQUIRE(advanced);
  CHECK(advanced->moved);
  CHECK(db.send() > before + 99'999'999'999);
  CHECK_FALSE(db.queue.tick().ids_behind);
  CHECK_FALSE(db.queue.advance_ids());
  CHECK(db.sql.number("select count(*) from pgforeman.home") == 1);
}

TEST_CASE("Infinite times in rows stop neither tick nor look", "[tick]") {
  Database db;
  db.sql.query(
      "insert into pgforeman.message (queue, place, state, due_at, payload)"
      " values ('q', 2::bigint << 57, 1, 'infinity', '1')");
  db.sql.query(
      "insert into pgforeman.message (queue, place, enqueued_at, visible_at, payload)"
      " values ('q', (5::bigint << 56) + 1, '-infinity', '-infinity', '1'),"
      " ('q', (5::bigint << 56) + 2, now(), 'infinity', '2')");
  const Tick tick = db.queue.tick();
  CHECK(tick.counts.ready == 1);
  CHECK(tick.times.next_due() > Millis{0});
  CHECK(db.queue.peek({}, 1).ready == 1);
  const std::vector<PlaceRange> all{{0, place_of(kLanes, 0)}};
  CHECK(db.queue.sweep(all, 12).moved == 1);
}

TEST_CASE("Of several sessions one sets the sequence forward, and none to its end", "[tick]") {
  Database db;
  db.send();
  db.sql.query("select setval('pgforeman.message_id_seq', 1, false)");
  Sql other(db.conninfo);
  other.query("begin; select pgforeman.advance_ids()");
  CHECK_FALSE(db.queue.advance_ids());
  other.query("commit");
  CHECK_FALSE(db.queue.tick().ids_behind);
  db.sql.query(
      "insert into pgforeman.message (id, place, queue, payload)"
      " values (9223372036854775807, (6::bigint << 56) - 1, 'q', '1')");
  CHECK_FALSE(db.queue.tick().ids_behind);
  CHECK(db.send() < 10'000'000);
}

TEST_CASE("queues() counts messages and dead letters of each queue", "[tick]") {
  Database db;
  CHECK(queues_in_use(db.connection, 9).empty());
  db.sql.query(
      "select pgforeman.send('words', '1'), pgforeman.send('mail', '1', delay => '1 hour'),"
      " pgforeman.send('mail', '1'), pgforeman.send('mail', '1')");
  db.send();
  db.settle(db.claim(1).at(0).lease(), dead("x"));
  auto queues = queues_in_use(db.connection, 9);
  CHECK(names_with_counts(queues, &QueueSize::messages) == "mail (3), words (1)");
  CHECK(names_with_counts(queues, &QueueSize::dead) == "q (1)");
  CHECK(queues_in_use(db.connection, 2).size() == 2);
  db.sql.query("select count(pgforeman.send('words', '1')) from generate_series(1, 1000)");
  queues = queues_in_use(db.connection, 9);
  CHECK(names_with_counts(queues, &QueueSize::messages) == "mail (3), words (1000+)");
}
