#include "queue/dead_letters.h"

#include <algorithm>

#include "queue/database.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

/// Sends one message and has it die; its id.
std::int64_t bury(Database& db, const std::string& payload, const std::string& error) {
  const auto id = db.send(payload);
  const auto claimed = db.claim();
  REQUIRE(claimed.at(0).id == id);
  std::optional<Settled> settled;
  REQUIRE_NOTHROW(settled = db.settle(claimed[0].lease(), dead(error)));
  REQUIRE(settled == Settled::dead);
  return id;
}

/// As after a restore that left the sequence out.
void give_ids_out_again(Database& db) {
  db.sql.query("select setval('pgforeman.message_id_seq', 1, false)");
}

}  // namespace

TEST_CASE("Dead letters are listed newest first, of one queue or of all", "[dead_letters]") {
  Database db;
  DeadLetters of_queue(db.connection, {"q", "", ""}), of_all(db.connection, {});
  CHECK(of_queue.list(10).empty());
  const auto first = bury(db, "1", "a");
  const auto second = bury(db, "2", "b");
  db.sql.query("update pgforeman.dead_message set queue = 'other' where id = " +
               std::to_string(first));
  CHECK(of_queue.list(10).size() == 1);
  CHECK(of_queue.count() == 1);
  CHECK(of_all.count() == 2);
  const auto all = of_all.list(10);
  REQUIRE(all.size() == 2);
  CHECK(all[0].id == second);
  CHECK(all[1].id == first);
  CHECK(all[1].queue == "other");
  CHECK(of_all.list(1).size() == 1);
  CHECK(of_queue.with_id(first).empty());
  CHECK(of_all.with_id(first).at(0).error == "a");
}

TEST_CASE("A retried dead letter starts over with its id, and its fence goes on growing",
          "[dead_letters]") {
  Database db;
  const auto id = bury(db, "{\"x\":1}", "boom");
  DeadLetters letters(db.connection, {"q", "", ""});
  const std::vector<std::int64_t> wanted = {id, 424242};
  const auto retried = letters.retry(wanted);
  REQUIRE(retried.size() == 1);
  CHECK(retried[0].id == id);
  CHECK(retried[0].new_id == id);
  CHECK(letters.retry(wanted).empty());
  CHECK(letters.count() == 0);
  const auto claimed = db.claim();
  REQUIRE(claimed.size() == 1);
  CHECK(claimed[0].id == id);
  CHECK(claimed[0].attempt == 1);
  CHECK(claimed[0].fence == 2);
  CHECK(lane_of(claimed[0].place) == 4);
  CHECK(claimed[0].payload == "{\"x\":1}");
  CHECK(db.queue.tick().counts.oldest_seconds == 0);
}

TEST_CASE("All dead letters are retried in batches, without those that die meanwhile",
          "[dead_letters]") {
  Database db;
  for (int i = 0; i < 25; ++i) bury(db, std::to_string(i), "x");
  DeadLetters letters(db.connection, {"q", "", ""});
  const std::string start = letters.now();
  CHECK(letters.retry_before(start, 10).retried == 10);
  for (const auto& m : db.claim(10)) db.settle(m.lease(), dead("again"));
  CHECK(letters.retry_before(start, 10).retried == 10);
  CHECK(letters.retry_before(start, 10).retried == 5);
  CHECK(letters.retry_before(start, 10).retried == 0);
  CHECK(letters.count() == 10);
  CHECK(db.left() == 15);
}

TEST_CASE("Purged dead letters are gone for good, of their queue only", "[dead_letters]") {
  Database db;
  const auto first = bury(db, "1", "x");
  for (int i = 0; i < 5; ++i) bury(db, "2", "y");
  DeadLetters letters(db.connection, {"q", "", ""}), others(db.connection, {"other", "", ""});
  CHECK(others.purge(std::span(&first, 1)).empty());
  CHECK(others.purge_before(others.now(), 100) == 0);
  CHECK(letters.purge(std::span(&first, 1)) == std::vector{first});
  CHECK(letters.purge_before(letters.now(), 100) == 5);
  CHECK(letters.count() == 0);
  CHECK(db.left() == 0);
}

TEST_CASE("A filter selects dead letters by reason and text of the error", "[dead_letters]") {
  Database db;
  for (int i = 0; i < 4; ++i) db.send(std::to_string(i));
  const auto held = db.claim(4);
  const RetryRule rule{1, Millis{0}, Millis{0}, 1};
  db.settle(held[0].lease(), dead("100% of it"), rule);
  db.settle(held[1].lease(), retry("100 of it"), rule);
  db.settle(held[2].lease(), retry("other"), rule);
  db.settle(held[3].lease(), crash("100% of it"), rule);
  const auto ids = [&](const DeadFilter& filter) {
    std::vector<std::int64_t> found;
    for (const auto& letter : DeadLetters(db.connection, filter).list(9))
      found.push_back(letter.id);
    std::sort(found.begin(), found.end());
    return found;
  };
  const auto id = [&](std::size_t i) { return held[i].id; };
  CHECK(ids({"q", "", ""}).size() == 4);
  CHECK(ids({"q", "max_attempts", ""}) == std::vector{id(1), id(2)});
  CHECK(ids({"q", "", "100% of"}) == std::vector{id(0), id(3)});
  CHECK(ids({"q", "max_crashes", "100"}) == std::vector{id(3)});
  DeadLetters some(db.connection, {"q", "max_attempts", "100"});
  CHECK(some.count() == 1);
  CHECK(some.retry_before(some.now(), 10).retried == 1);
  CHECK(db.claim(9).size() == 1);
  DeadLetters rest(db.connection, {"q", "", "of it"});
  CHECK(rest.purge_before(rest.now(), 10) == 2);
  CHECK(ids({"q", "", ""}) == std::vector{id(2)});
}

TEST_CASE("A message with the id of a dead letter can die, and both letters are kept",
          "[dead_letters]") {
  Database db;
  REQUIRE(bury(db, "\"old\"", "first") == 1);
  give_ids_out_again(db);
  REQUIRE(bury(db, "\"new\"", "second") == 1);
  CHECK(db.left() == 0);
  DeadLetters letters(db.connection, {"q", "", ""});
  CHECK(letters.list(9).size() == 2);
  const auto listed = letters.with_id(1);
  REQUIRE(listed.size() == 2);
  CHECK(listed[0].error == "second");
  CHECK(letters.read_letter(listed[0])->payload == "\"new\"");
  CHECK(letters.read_letter(listed[1])->payload == "\"old\"");
  CHECK(letters.read_letter(listed[1])->error == "first");
  const std::int64_t id = 1;
  CHECK(letters.purge(std::span(&id, 1)) == std::vector<std::int64_t>{1, 1});
}

TEST_CASE("A dead letter is retried under a new id where another message has its own",
          "[dead_letters]") {
  Database db;
  bury(db, "\"first\"", "x");
  give_ids_out_again(db);
  bury(db, "\"second\"", "x");
  give_ids_out_again(db);
  REQUIRE(db.send("\"third\"") == 1);
  DeadLetters letters(db.connection, {"q", "", ""});
  const auto retried = letters.retry_before(letters.now(), 10);
  CHECK(retried.retried == 2);
  CHECK(retried.renumbered == 2);
  CHECK(letters.count() == 0);
  CHECK(db.sql.rows("select payload #>> '{}', claims, jsonb_array_length(history)"
                    " from pgforeman.message where id <> 1 order by 1") ==
        std::vector<Row>{{"first", "1", "0"}, {"second", "1", "0"}});
  CHECK(db.sql.query("select payload #>> '{}' from pgforeman.message where id = 1") == "third");
  // No id is given to two messages later.
  const auto highest = db.sql.number("select max(id) from pgforeman.message");
  CHECK(db.send() > highest);
  CHECK(db.claim(9).size() == 4);
}

TEST_CASE("Of two dead letters with one id, retried together, one keeps it", "[dead_letters]") {
  Database db;
  bury(db, "1", "x");
  give_ids_out_again(db);
  bury(db, "2", "x");
  DeadLetters letters(db.connection, {"q", "", ""});
  const std::int64_t id = 1;
  const auto retried = letters.retry(std::span(&id, 1));
  REQUIRE(retried.size() == 2);
  CHECK(retried[0].id == 1);
  CHECK(retried[1].id == 1);
  CHECK((retried[0].new_id == 1) != (retried[1].new_id == 1));
  CHECK(db.left() == 2);
}

TEST_CASE("A list of dead letters reads neither payloads nor headers nor histories",
          "[dead_letters]") {
  Database db;
  bury(db, "1", "x");
  // 300 KB that does not compress: stored beside the row.
  db.sql.query(
      "create temp table noise as"
      " select jsonb_agg(md5(i::text)) as n from generate_series(1, 9000) i;"
      "update pgforeman.dead_message set payload = n, headers = jsonb_build_object('h', n),"
      " history = n from noise");
  const auto blocks_read = [&](bool read_letter) {
    const auto blocks = [&] {
      return Sql(db.conninfo)
          .number(
              "select toast_blks_hit + toast_blks_read from pg_statio_user_tables"
              " where relname = 'dead_message'");
    };
    const auto before = blocks();
    {
      Connection connection(settings_for(db.conninfo));
      DeadLetters letters(connection, {"q", "", ""});
      const auto listed = letters.list(9);
      REQUIRE(listed.size() == 1);
      CHECK(listed[0].payload.empty());
      if (read_letter) CHECK(letters.read_letter(listed[0])->payload.size() > 300'000);
    }
    // A session reports what it read at its end.
    if (read_letter) REQUIRE(eventually([&] { return blocks() > before + 100; }));
    return blocks() - before;
  };
  CHECK(blocks_read(false) == 0);
  CHECK(blocks_read(true) > 100);
}
