// The queue keeps its speed. Measured by the server's own counters, which do not depend on the
// machine, through a session of its own: a session reports its statistics at its end.
#include <fstream>
#include <sstream>

#include "queue/database.h"
#include "queue/queue_names.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

struct Counters {
  std::int64_t entries_read, updated, updated_hot, seq_scans;
};

Counters counters(const Database& db) {
  Sql fresh(db.conninfo);
  const auto row = fresh.rows(
      "select (select sum(idx_tup_read) from pg_stat_user_indexes where relname = 'message'),"
      " n_tup_upd, n_tup_hot_upd, seq_scan from pg_stat_user_tables where relname = 'message'");
  return {std::stoll(row[0][0]), std::stoll(row[0][1]), std::stoll(row[0][2]),
          std::stoll(row[0][3])};
}

/// What `work` cost, done in a session that had planned everything while the queue was empty.
template <typename Work>
Counters cost_of(Database& db, const std::string& prepare, Work&& work) {
  auto connection = std::make_unique<Connection>(settings_for(db.conninfo));
  Queue queue(*connection, "q");
  const Lease none{1, Token{1}};
  const Settlement settlement{none, {}};
  for (int i = 0; i < 7; ++i) {
    queue.claim(1, {Token{1}}, Millis{1000});
    queue.settle(std::span(&settlement, 1), RetryRule{});
    queue.renew(std::span(&none, 1), Millis{1000});
    queue.tick();
    queue.sweep(std::vector<PlaceRange>{{0, 1}}, 12);
    queue.open_writers({});
    queue.release_claim({Token{1}});
    queue.peek({}, 1);
  }
  {
    Sql sql(db.conninfo);
    sql.query(prepare);
  }
  const std::int64_t expected = counters(db).updated;
  const Counters before = counters(db);
  const std::int64_t updates = work(queue);
  connection.reset();
  REQUIRE(eventually([&] { return counters(db).updated >= expected + updates; }));
  const Counters after = counters(db);
  return {after.entries_read - before.entries_read, after.updated - before.updated,
          after.updated_hot - before.updated_hot, after.seq_scans - before.seq_scans};
}

const std::string kScheduled =
    "insert into pgforeman.message (queue, place, state, due_at, payload) "
    "select 'q', 2::bigint << 57, 1, clock_timestamp() + '1 hour', '1' from generate_series(1, "
    "100000); ";
const std::string kReady =
    "insert into pgforeman.message (queue, place, payload) select 'q', (5::bigint << 56) + i, "
    "'{\"n\": 1}' from generate_series(1, 5000) i";

}  // namespace

TEST_CASE("A claim beside 100,000 scheduled messages reads only what it takes", "[plan]") {
  Database db;
  const Counters cost = cost_of(db, kScheduled + kReady, [&](Queue& queue) {
    std::int64_t taken = 0;
    for (int i = 1; i <= 20; ++i) {
      taken += static_cast<std::int64_t>(queue.claim(10, {Token{100 + i}}, Millis{60000}).size());
    }
    return taken;
  });
  CHECK(cost.updated == 200);
  CHECK(cost.seq_scans == 0);
  CHECK(cost.entries_read <= 20 * 220);  // each claim passes those that earlier ones hold
}

TEST_CASE("Claims are HOT updates that touch no index", "[plan]") {
  Database db;
  const Counters cost = cost_of(db, kReady, [&](Queue& queue) {
    std::int64_t taken = 0;
    for (int i = 1; i <= 50; ++i) {
      taken += static_cast<std::int64_t>(queue.claim(100, {Token{100 + i}}, Millis{60000}).size());
    }
    return taken;
  });
  CHECK(cost.updated == 5000);
  CHECK(cost.updated_hot >= 4900);
}

TEST_CASE("Settling and renewing read only their own rows, however long the queue", "[plan]") {
  Database db;
  const Counters cost = cost_of(db, kScheduled + kReady, [&](Queue& queue) {
    std::vector<Lease> leases;
    std::vector<Settlement> settlements;
    for (const auto& m : queue.claim(100, {Token{1000}}, Millis{60000})) {
      leases.push_back(m.lease());
      settlements.push_back({m.lease(), leases.size() % 2 == 0 ? done() : retry()});
    }
    CHECK(queue.renew(leases, Millis{60000}).empty());
    CHECK(queue.settle(settlements, RetryRule{}).size() == 100);
    return 250;
  });
  CHECK(cost.updated == 250);
  CHECK(cost.seq_scans == 0);
  CHECK(cost.entries_read < 2000);
}

TEST_CASE("A tick over a long queue reads a bounded part of it", "[plan]") {
  Database db;
  const Counters cost =
      cost_of(db,
              "insert into pgforeman.message (queue, place, payload) "
              "select 'q', (5::bigint << 56) + i, '1' from generate_series(1, 100000) i; " +
                  kScheduled,
              [&](Queue& queue) {
                CHECK(queue.tick().counts.capped);
                return queue.claim(1, {Token{1000}}, Millis{1000}).size();
              });
  CHECK(cost.seq_scans == 0);
  CHECK(cost.entries_read < 21000);
}

TEST_CASE("A sweep reads only its own range, claim and look nothing below the marks", "[plan]") {
  Database db;
  const Counters cost = cost_of(db, kScheduled + kReady, [&](Queue& queue) {
    for (int i = 1; i <= 20; ++i) {
      // Nothing is there in other lanes, and 4 in this one at first.
      const std::vector<PlaceRange> ranges{{0, place_of(4, 0)},
                                           {place_of(5, 10), place_of(5, 14)},
                                           {place_of(6, 0), place_of(8, 0)}};
      CHECK(queue.sweep(ranges, 12).moved <= 4);
      CHECK(queue.open_writers(fresh_mark(4000)).first[5] == 4001);
      CHECK(queue.peek(fresh_mark(4000), 3).ready == 3);
      const Claim claim{Token{100 + i}, fresh_mark(2000 + 2 * i)};
      CHECK(queue.claim(2, claim, Millis{60000}).size() == 2);
    }
    return 40 + 4;
  });
  CHECK(cost.updated == 44);
  CHECK(cost.seq_scans <= 40);  // of the sequence's one row
  CHECK(cost.entries_read < 20 * 35);
}

TEST_CASE("Naming the queues in use reads little of them", "[plan]") {
  Database db;
  std::string others = kReady;
  others.replace(others.find("'q'"), 3, "'r'");
  db.sql.query(kScheduled + others + "; analyze");
  const Counters before = counters(db);
  {
    Connection connection(settings_for(db.conninfo));
    CHECK(queues_in_use(connection, 20).size() == 2);
  }
  REQUIRE(eventually([&] { return counters(db).entries_read > before.entries_read; }));
  const Counters after = counters(db);
  CHECK(after.seq_scans == before.seq_scans);
  CHECK(after.entries_read - before.entries_read < 2 * 2100);
}

TEST_CASE("The manual's count for autoscalers has running and due messages, and uses indexes",
          "[plan]") {
  std::ifstream file(PGFOREMAN_DOCS "/operating.md");
  std::stringstream text;
  text << file.rdbuf();
  std::string query = text.str();
  query.erase(0, query.find("```sql", query.find("KEDA")) + 6);
  query.erase(query.find("```"));
  for (auto at = query.find("'mail'"); at != std::string::npos; at = query.find("'mail'")) {
    query.replace(at, 6, "'q'");
  }
  Database db;
  CHECK(db.sql.number(query) == 0);
  db.send();
  CHECK(db.sql.number(query) == 1);
  const auto held = db.claim();
  CHECK(db.sql.number(query) == 1);  // it runs
  db.settle(held.at(0).lease(), retry("x", Millis{1}));
  REQUIRE(eventually([&] { return db.sql.number(query) == 1; }));  // due, and nothing promotes it
  db.send("1", {2, Millis{3'600'000}, "{}"});
  db.sql.query("select pgforeman.send('other', '1')");
  CHECK(db.sql.number(query) == 1);
  db.sql.query(kScheduled + kReady + "; analyze pgforeman.message");
  std::string plan;
  for (const auto& row : db.sql.rows("explain " + query)) plan += row.at(0) + "\n";
  INFO(plan);
  CHECK_THAT(plan,
             contains("message_ready") && contains("message_scheduled") && !contains("Seq Scan"));
}
