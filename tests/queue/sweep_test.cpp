// Claims begin at marks; a sweep finds what becomes claimable below them.
#include <limits>

#include "queue/database.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

constexpr std::int64_t kNobody = std::numeric_limits<std::int64_t>::max();

std::vector<std::int64_t> ids_of(const std::vector<ClaimedMessage>& messages) {
  std::vector<std::int64_t> ids;
  for (const auto& m : messages) ids.push_back(m.id);
  return ids;
}

}  // namespace

TEST_CASE("A claim begins above its mark in each lane", "[sweep]") {
  Database db;
  std::vector<std::int64_t> ids;
  for (const int priority : {2, 2, 2, 0, 3, 1}) ids.push_back(db.send("1", {priority, {}, "{}"}));
  const Marks marks{0, 0, ids[1], 0};
  CHECK(ids_of(db.queue.claim(2, {Token{1}, marks}, Millis{60000})) == std::vector{ids[3], ids[5]});
  CHECK(ids_of(db.queue.claim(9, {Token{2}, marks}, Millis{60000})) == std::vector{ids[2], ids[4]});
  CHECK(db.queue.claim(9, {Token{3}, marks}, Millis{60000}).empty());
  CHECK(ids_of(db.queue.claim(9, {Token{4}}, Millis{60000})) == std::vector{ids[0], ids[1]});
}

TEST_CASE("Redelivered, retried and due messages are found with any marks", "[sweep]") {
  Database db;
  for (int i = 0; i < 4; ++i) db.send();
  const auto held = db.claim(3);
  const auto unheard = db.claim(1);
  db.settle(held[0].lease(), released());
  db.settle(held[1].lease(), retry("x", Millis{0}));
  db.settle(held[2].lease(), dead("x"));
  CHECK(db.queue.release_claim({unheard[0].token}) == 1);
  db.sql.query("select pgforeman.dead_retry('q')");
  db.sql.query("select pgforeman.send('q', '1', delay => '1 ms')");
  REQUIRE(eventually([&] { return db.queue.tick().promoted == 1; }));
  const Marks marks{1000, 1000, 1000, 1000};
  CHECK(db.queue.claim(9, {Token{100}, marks}, Millis{60000}).size() == 5);
}

TEST_CASE("A sweep moves claimable messages to the redelivered lane, and no leased ones",
          "[sweep]") {
  Database db;
  for (int i = 0; i < 4; ++i) db.send();
  const auto other = db.send("1", {1, {}, "{}"});
  db.sql.query("select pgforeman.send('other', '1')");
  db.sql.query(
      "update pgforeman.message set visible_at = clock_timestamp() + '1 hour', token = 7"
      " where id = 2");
  const Sweep sweep = db.queue.sweep({0, 0, 0, 0}, {0, other, 3, 0});
  CHECK(sweep.moved == 3);
  CHECK(sweep.claimable == 3);
  CHECK(sweep.leased == 1);
  CHECK(sweep.lowest == Marks{kNobody, other, 1, kNobody});
  CHECK(sweep.reached == Marks{0, other, 3, 0});
  CHECK(sweep.highest == 6);
  REQUIRE(sweep.lease_end.has_value());
  CHECK(*sweep.lease_end > Millis{3500000});
  CHECK(sweep.oldest_xid <= sweep.xid);
  CHECK(ids_of(db.queue.claim(9, {Token{1}, {0, other, 4, 0}}, Millis{60000})) ==
        std::vector<std::int64_t>{other, 1, 3});
  CHECK_FALSE(db.queue.sweep({0, 0, 3, 0}, {0, 0, 4, 0}).lease_end.has_value());
}

TEST_CASE("A message committed late, below the mark, is found by a sweep", "[sweep]") {
  Database db;
  Sql late(db.conninfo);
  late.query("begin");
  const auto id = late.number("select pgforeman.send('q', '1')");
  const auto newer = db.send();
  CHECK(ids_of(db.claim(9)) == std::vector{newer});
  const Marks mark{0, 0, newer, 0};
  const Sweep before = db.queue.sweep({}, mark);
  CHECK(before.moved == 0);
  CHECK(db.queue.sweep({}, mark).oldest_xid < before.xid);  // it may still commit
  late.query("commit");
  const Sweep after = db.queue.sweep({}, mark);
  CHECK(after.moved == 1);
  CHECK(after.oldest_xid > before.xid);
  CHECK(ids_of(db.queue.claim(9, {Token{100}, mark}, Millis{60000})) == std::vector{id});
}

TEST_CASE("A swept message with an expired lease can still be settled under its token", "[sweep]") {
  Database db;
  const auto id = db.send();
  const auto held = db.claim(1, Millis{1});
  Sweep sweep;
  REQUIRE(eventually([&] { return db.queue.sweep({}, {0, 0, id, 0}).moved == 1; }));
  CHECK(db.settle(held[0].lease(), done()) == Settled::done);
  CHECK(db.left() == 0);
}

TEST_CASE("A sweep moves a limited number, counts the rest, and waits for no lock", "[sweep]") {
  Database db;
  db.sql.query("select count(pgforeman.send('q', '1')) from generate_series(1, 1500)");
  Sql other(db.conninfo);
  // More than it moves at once: they do not stand before the others either.
  other.query("begin; select 1 from pgforeman.message where id <= 1200 for update");
  const Sweep first = db.queue.sweep({}, {0, 0, 1500, 0});
  CHECK(first.moved == 300);
  CHECK(first.claimable == 1500);
  other.query("rollback");
  CHECK(db.queue.sweep({}, {0, 0, 1500, 0}).moved == kSweepMoves);
  const Sweep third = db.queue.sweep({}, {0, 0, 1500, 0});
  CHECK(third.moved == 200);
  CHECK(third.claimable == 200);
  CHECK(third.lowest[2] == 1001);
}

TEST_CASE("release_claim finds a claim in doubt above its marks", "[sweep]") {
  Database db;
  for (int i = 0; i < 6; ++i) db.send();
  const Marks marks{0, 0, 3, 0};
  db.queue.claim(2, {Token{77}, marks}, Millis{60000});
  CHECK(db.queue.release_claim({Token{77}, {0, 0, 5, 0}}) == 0);
  CHECK(db.queue.release_claim({Token{77}, marks}, test::crash("killed")) == 2);
  CHECK(db.sql.number("select count(*) from pgforeman.message where lane = 4") == 2);
}
