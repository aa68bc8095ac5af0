// Claims begin at marks; a sweep finds what becomes claimable below them.
#include <algorithm>

#include "queue/database.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

constexpr int kBits = 12;

std::vector<std::int64_t> ids_of(const std::vector<ClaimedMessage>& messages) {
  std::vector<std::int64_t> ids;
  for (const auto& m : messages) ids.push_back(m.id);
  return ids;
}

Sweep sweep(Database& db, std::int64_t upto) {
  return db.queue.sweep(lane_upto(5, upto), kBits);
}

}  // namespace

TEST_CASE("A claim begins above its mark in each lane", "[sweep]") {
  Database db;
  std::vector<std::int64_t> ids;
  for (const int priority : {2, 2, 2, 0, 3, 1}) ids.push_back(db.send("1", {priority, {}, "{}"}));
  const Marks marks = fresh_mark(ids[1]);
  CHECK(ids_of(db.queue.claim(2, {Token{1}, marks}, Millis{60000})) == std::vector{ids[3], ids[5]});
  CHECK(ids_of(db.queue.claim(9, {Token{2}, marks}, Millis{60000})) == std::vector{ids[2], ids[4]});
  CHECK(db.queue.claim(9, {Token{3}, marks}, Millis{60000}).empty());
  CHECK(ids_of(db.queue.claim(9, {Token{4}}, Millis{60000})) == std::vector{ids[0], ids[1]});
}

TEST_CASE("What comes back gets a place above all marks, and keeps its id", "[sweep]") {
  Database db;
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(db.send());
  const auto held = db.claim(3);
  const auto unheard = db.claim(1);
  ids.push_back(db.sql.number("select pgforeman.send('q', '1', delay => '1 ms')"));
  Marks marks;
  marks.fill(ids.back());
  db.settle(held[0].lease(), released());
  db.settle(held[1].lease(), retry("x", Millis{0}));
  db.settle(held[2].lease(), dead("x"));
  CHECK(db.queue.release_claim({unheard[0].token}) == 1);
  db.sql.query("select pgforeman.dead_retry('q')");
  REQUIRE(eventually([&] { return db.queue.tick().promoted == 1; }));
  // In the order in which they came back, before fresh ones.
  db.send();
  const auto again = db.queue.claim(5, {Token{100}, marks}, Millis{60000});
  CHECK(ids_of(again) == std::vector{ids[0], ids[1], ids[3], ids[2], ids[4]});
  CHECK(std::all_of(again.begin(), again.end(),
                    [](const ClaimedMessage& m) { return lane_of(m.place) == 4; }));
}

TEST_CASE("A scheduled message gets its number when it is due", "[sweep]") {
  Database db;
  const auto first = db.send("1", {1, Millis{1}, "{}"});
  CHECK(db.sql.number("select place from pgforeman.message") == place_of(2, 0));
  const auto later = db.send("1", {1, {}, "{}"});
  REQUIRE(eventually([&] { return db.queue.tick().promoted == 1; }));
  const auto claimed = db.claim(2);
  CHECK(ids_of(claimed) == std::vector{first, later});
  CHECK(number_of(claimed[0].place) > later);
}

TEST_CASE("A sweep moves claimable messages, and no leased ones", "[sweep]") {
  Database db;
  for (int i = 0; i < 4; ++i) db.send();
  const auto other = db.send("1", {1, {}, "{}"});
  db.sql.query("select pgforeman.send('other', '1')");
  db.sql.query(
      "update pgforeman.message set visible_at = clock_timestamp() + '1 hour', token = 7"
      " where id = 2");
  const std::vector<PlaceRange> ranges{{place_of(3, 0), place_of(3, other)},
                                       {place_of(5, 0), place_of(5, 3)}};
  const Sweep found = db.queue.sweep(ranges, kBits);
  CHECK(found.moved == 3);
  CHECK(found.reached == std::vector{place_of(3, other), place_of(5, 3)});
  REQUIRE(found.buckets.size() == 2);
  CHECK(found.buckets[0].number == place_of(3, 0) >> kBits);
  CHECK(found.buckets[0].leased == 0);
  CHECK(found.buckets[0].look_in == Millis{0});
  CHECK(found.buckets[1].number == place_of(5, 0) >> kBits);
  CHECK(found.buckets[1].leased == 1);
  Marks marks = fresh_mark(4);
  marks[3] = other;
  CHECK(ids_of(db.queue.claim(9, {Token{1}, marks}, Millis{60000})) ==
        std::vector<std::int64_t>{other, 1, 3});
  const Sweep again = db.queue.sweep(ranges, kBits);
  CHECK(again.moved == 0);
  REQUIRE(again.buckets.size() == 1);
  CHECK(again.buckets[0].look_in > Millis{3500000});
  CHECK(db.queue.sweep(lane_upto(5, 1), kBits).buckets.empty());
}

TEST_CASE("A view shows which transactions may still commit, and what is above the marks",
          "[sweep]") {
  Database db;
  Sql late(db.conninfo);
  late.query("begin");
  const auto id = late.number("select pgforeman.send('q', '1')");
  const auto xid = late.number("select pg_current_xact_id()::text");
  const auto newer = db.send();
  CHECK(ids_of(db.claim(9)) == std::vector{newer});
  const OpenWriters before = db.queue.open_writers(fresh_mark(id));
  CHECK(before.open == std::vector{xid});
  CHECK(before.highest == newer);
  CHECK(before.at_us > 0);
  CHECK(before.first == fresh_mark(newer));
  CHECK(sweep(db, newer).moved == 0);
  late.query("commit");
  CHECK(db.queue.open_writers(fresh_mark(newer)).open.empty());
  CHECK(db.queue.open_writers(fresh_mark(newer)).first == Marks{});
  CHECK(sweep(db, newer).moved == 1);
  CHECK(ids_of(db.queue.claim(9, {Token{100}, fresh_mark(newer)}, Millis{60000})) ==
        std::vector{id});
}

TEST_CASE("A transaction gets its number before it draws a place or reads the clock", "[sweep]") {
  Database db;
  db.send();
  const auto held = db.claim();
  const std::string id = std::to_string(held[0].id);
  const std::string ways[] = {
      "select pgforeman.next_place(0)", "select pgforeman.send('q', '1')",
      "select pgforeman.send('q', '1', delay => '1 hour')",
      "select pgforeman.release_token('q', 1)",
      "select settled from pgforeman.settle(array[" + id +
          "], array[1], array['retry'],"
          " array['1 hour'::interval], array['x'], array[null::jsonb], 5, 3, '1s', '1s')"};
  for (const std::string& way : ways) {
    CAPTURE(way);
    Sql one(db.conninfo);
    // A transaction that may not write fails where it draws a number or writes.
    one.query("begin read only; savepoint before");
    CHECK_THROWS(one.query(way));
    one.query("rollback to before");
    CHECK(one.query("select pg_current_xact_id_if_assigned() is not null") == "t");
  }
}

TEST_CASE("A swept message with an expired lease can still be settled under its token", "[sweep]") {
  Database db;
  const auto id = db.send();
  const auto held = db.claim(1, Millis{1});
  REQUIRE(eventually([&] { return sweep(db, id).moved == 1; }));
  CHECK(db.settle(held[0].lease(), done()) == Settled::done);
  CHECK(db.left() == 0);
}

TEST_CASE("A sweep moves a limited number, and waits for no lock", "[sweep]") {
  Database db;
  db.sql.query("select count(pgforeman.send('q', '1')) from generate_series(1, 1500)");
  Sql other(db.conninfo);
  // More than it moves at once: they do not stand before the others either.
  other.query("begin; select 1 from pgforeman.message where id <= 1200 for update");
  const Sweep first = sweep(db, 1500);
  CHECK(first.moved == 300);
  REQUIRE(first.buckets.size() == 1);
  CHECK(first.buckets[0].look_in == Millis{0});
  other.query("rollback");
  CHECK(sweep(db, 1500).moved == 1000);
  CHECK(sweep(db, 1500).moved == 200);
  CHECK(sweep(db, 1500).buckets.empty());
}

TEST_CASE("A sweep of more than 10,000 messages says how far it came", "[sweep]") {
  Database db;
  db.sql.query(
      "select count(*) from pgforeman.send_batch('q', array_fill('1'::json, array[10001]))");
  db.sql.query("update pgforeman.message set visible_at = clock_timestamp() + '1 hour', token = 7");
  const Sweep found = sweep(db, 20000);
  CHECK(found.reached == std::vector{place_of(5, 10000)});
  CHECK(found.buckets.size() == 3);
}

TEST_CASE("release_claim finds a claim in doubt above its marks", "[sweep]") {
  Database db;
  for (int i = 0; i < 6; ++i) db.send();
  db.queue.claim(2, {Token{77}, fresh_mark(3)}, Millis{60000});
  CHECK(db.queue.release_claim({Token{77}, fresh_mark(5)}) == 0);
  CHECK(db.queue.release_claim({Token{77}, fresh_mark(3)}, test::crash("killed")) == 2);
  CHECK(db.sql.number("select count(*) from pgforeman.message where place >> 56 = 4") == 2);
}
