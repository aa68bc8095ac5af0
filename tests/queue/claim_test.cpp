#include <atomic>
#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include "queue/database.h"

using namespace pgforeman;
using namespace pgforeman::test;

TEST_CASE("Concurrent consumers never hold the same message, and miss none", "[claim]") {
  Database db;
  constexpr int kMessages = 4000;
  db.sql.query("select count(pgforeman.send('q', to_jsonb(i))) from generate_series(1, " +
               std::to_string(kMessages) + ") i");
  std::mutex guard;
  std::multiset<std::int64_t> claimed;
  std::atomic<std::int64_t> token{0};
  std::vector<std::thread> consumers;
  for (int i = 0; i < 6; ++i) {
    consumers.emplace_back([&] {
      Connection connection(settings_for(db.conninfo));
      Queue queue(connection, "q");
      int looks_at_nothing = 0;
      while (looks_at_nothing < 3) {
        const auto batch = queue.claim(7, {Token{++token}}, Millis{60000});
        looks_at_nothing = batch.empty() ? looks_at_nothing + 1 : 0;
        const std::lock_guard lock(guard);
        for (const auto& m : batch) claimed.insert(m.id);
      }
    });
  }
  for (auto& consumer : consumers) consumer.join();
  CHECK(claimed.size() == kMessages);
  CHECK(std::set<std::int64_t>(claimed.begin(), claimed.end()).size() == kMessages);
}

TEST_CASE("A claim takes only its own queue's messages, at most as many as asked", "[claim]") {
  Database db;
  db.sql.query("select pgforeman.send('other', '1')");
  for (int i = 0; i < 5; ++i) db.send();
  CHECK(db.claim(3).size() == 3);
  CHECK(db.claim(3).size() == 2);
  CHECK(db.claim(3).empty());
}

TEST_CASE("A claimed message can be claimed again only after its lease, with a higher fence",
          "[claim]") {
  Database db;
  db.send();
  const auto first = db.claim(1, Millis{300});
  REQUIRE(first.size() == 1);
  CHECK(db.claim().empty());
  std::vector<ClaimedMessage> second;
  REQUIRE(eventually([&] { return !(second = db.claim()).empty(); }));
  CHECK(second[0].id == first[0].id);
  CHECK(second[0].fence == first[0].fence + 1);
  CHECK(second[0].attempt == 1);
  CHECK(second[0].token != first[0].token);

  SECTION("and the old token settles, renews and releases nothing") {
    for (const Outcome& outcome : {done(), retry(), dead("x"), released()}) {
      CHECK(db.settle(first[0].lease(), outcome) == Settled::lost_lease);
    }
    CHECK(db.queue.renew(std::vector{first[0].lease()}, Millis{1000}) == std::vector{first[0].id});
    CHECK(db.queue.release_claim({first[0].token}) == 0);
    CHECK(db.claim().empty());
    CHECK(db.sql.query("select token || ' ' || attempt from pgforeman.message") ==
          std::to_string(static_cast<std::int64_t>(second[0].token)) + " 0");
    CHECK(db.settle(second[0].lease(), done()) == Settled::done);
    CHECK(db.left() == 0);
  }
}

namespace {

using Ids = std::vector<std::int64_t>;

/// Claims one message; false: it said that not all that is done was still held.
bool claims_after(Database& db, const Ids& done, Token done_token) {
  try {
    const auto claimed = db.queue.claim(1, db.next_claim(), Millis{60000}, done, done_token);
    CHECK(claimed.size() == 1);
    return true;
  } catch (const DatabaseError& error) {
    CHECK(error.kind() == DatabaseError::Kind::transient);
    return false;
  }
}

}  // namespace

TEST_CASE("A claim settles the given messages as done and no other", "[claim]") {
  // Ranges of ids, in order and without a gap, are deleted in another way than others.
  struct Case {
    Ids done;
    std::string left;
  };
  const std::vector<Case> cases{{{2}, "1 3 4 5"},   {{1, 2, 3, 4, 5}, ""}, {{2, 3, 4}, "1 5"},
                                {{1, 3, 5}, "2 4"}, {{4, 2, 3}, "1 5"},    {{1, 4, 3}, "2 5"},
                                {{5, 3, 4, 1}, "2"}};
  for (const auto& [done, left] : cases) {
    Database db;
    for (int i = 0; i < 6; ++i) db.send();
    REQUIRE(db.claim(5).size() == 5);
    CHECK(claims_after(db, done, Token{1}));
    CHECK(db.sql.query("select coalesce(string_agg(id::text, ' ' order by id), '')"
                       " from pgforeman.message where token = 1") == left);
    CHECK(db.sql.number("select count(*) from pgforeman.message where token = 2") == 1);
  }
}

TEST_CASE("A claim settles nothing when one of the done messages is no longer held", "[claim]") {
  for (const Ids& done : {Ids{2}, Ids{1, 2, 3}, Ids{1, 3, 2}, Ids{2, 4}, Ids{1, 1}}) {
    Database db;
    for (int i = 0; i < 5; ++i) db.send();
    REQUIRE(db.claim(4).size() == 4);
    db.sql.query("update pgforeman.message set token = 99 where id = 2");
    CHECK_FALSE(claims_after(db, done, Token{1}));
    CHECK(db.sql.number("select count(*) from pgforeman.message where token = 1") == 3);
    CHECK(db.sql.number("select count(*) from pgforeman.message where token = 99") == 1);
    CHECK(db.sql.number("select count(*) from pgforeman.message where token = 0") == 1);
  }
  // Token 0 names no claim.
  Database db;
  for (int i = 0; i < 3; ++i) db.send();
  for (const Ids& done : {Ids{1}, Ids{1, 2}, Ids{2, 1}})
    CHECK_FALSE(claims_after(db, done, Token::none));
  // Nor does any number do harm.
  const auto most = std::numeric_limits<std::int64_t>::max();
  for (const Ids& done :
       {Ids{most, -most - 1}, Ids{-most - 1, most}, Ids{-1, 0}, Ids{most - 1, most}})
    CHECK_FALSE(claims_after(db, done, Token{1}));
  CHECK(db.left() == 3);
}

TEST_CASE("A claim that cannot settle a locked row claims nothing", "[claim]") {
  Database db;
  for (int i = 0; i < 2; ++i) db.send();
  const auto held = db.queue.claim(1, {Token{1}}, Millis{60000});
  REQUIRE(held.size() == 1);
  Sql somebody(db.conninfo);
  somebody.query("begin; select 1 from pgforeman.message where token = 1 for update");
  const std::vector ids{held[0].id};
  try {
    db.queue.claim(1, {Token{2}}, Millis{60000}, ids, Token{1});
    FAIL("it did not notice");
  } catch (const DatabaseError& error) {
    CHECK(error.kind() == DatabaseError::Kind::locked);
  }
  CHECK(db.sql.number("select count(*) from pgforeman.message where token = 2") == 0);
  somebody.query("commit");
  CHECK(db.queue.claim(1, {Token{3}}, Millis{60000}, ids, Token{1}).size() == 1);
  CHECK(db.sql.number("select count(*) from pgforeman.message") == 1);
}

TEST_CASE("A claim with token 0 is refused", "[claim]") {
  Database db;
  const auto id = db.send();
  CHECK_THROWS_AS(db.queue.claim(1, {Token::none}, Millis{1000}), DatabaseError);
  for (const Outcome& outcome : {done(), retry(), dead("x"), released()}) {
    CHECK(db.settle({id, Token::none}, outcome) == Settled::lost_lease);
  }
  const Lease none{id, Token::none};
  CHECK(db.queue.renew(std::span(&none, 1), Millis{1000}) == std::vector{id});
  CHECK(db.queue.release_claim({}) == 0);
  CHECK(db.claim().size() == 1);
}

TEST_CASE("A renewed lease lasts longer; a renewal under another token is lost", "[claim]") {
  Database db;
  for (int i = 0; i < 3; ++i) db.send();
  const auto claimed = db.claim(3, Millis{400});
  REQUIRE(claimed.size() == 3);
  db.settle(claimed[1].lease(), done());
  std::vector<Lease> leases;
  for (const auto& m : claimed) leases.push_back(m.lease());
  CHECK(db.queue.renew(leases, Millis{3600000}) == std::vector{claimed[1].id});
  CHECK(db.sql.number("select count(*) from pgforeman.message where visible_at > "
                      "clock_timestamp() + interval '50 minutes'") == 2);
  CHECK(db.queue.renew({}, Millis{1000}).empty());
}

TEST_CASE("The lease of a locked row is skipped, and renewed later", "[claim]") {
  Database db;
  db.send();
  const auto claimed = db.claim(1, Millis{60000});
  Sql other(db.conninfo);
  other.query("begin; select 1 from pgforeman.message for update");
  CHECK(db.queue.renew(std::vector{claimed[0].lease()}, Millis{3600000}).empty());
  CHECK(db.sql.query("select visible_at < clock_timestamp() + interval '2 minutes' "
                     "from pgforeman.message") == "t");
  other.query("rollback");
  CHECK(db.queue.renew(std::vector{claimed[0].lease()}, Millis{3600000}).empty());
  CHECK(db.sql.query("select visible_at > clock_timestamp() + interval '50 minutes' "
                     "from pgforeman.message") == "t");
}

TEST_CASE("release_claim makes all its messages claimable at once, first, without an attempt",
          "[claim]") {
  Database db;
  for (int i = 0; i < 3; ++i) db.send();
  const auto held = db.claim(2);
  const auto others = db.claim(1);
  CHECK(db.queue.release_claim({held[0].token}) == 2);
  const auto again = db.claim(3);
  REQUIRE(again.size() == 2);
  CHECK(again[0].attempt == 1);
  CHECK(again[0].fence == 2);
  CHECK(lane_of(again[0].place) == 4);
  CHECK(db.settle(others[0].lease(), done()) == Settled::done);
}

TEST_CASE("Messages of a claim that killed its consumer wait by their own count of such claims",
          "[claim]") {
  Database db;
  const auto once = db.send(), twice = db.send(), often = db.send();
  const auto held = db.claim(3);
  REQUIRE(held.size() == 3);
  db.sql.query("update pgforeman.message set claims = case id when " + std::to_string(once) +
               " then 1 when " + std::to_string(twice) + " then 2 else 11 end");
  const RetryRule rule{5, Millis{60000}, Millis{60000}, 3};
  CHECK(db.queue.release_claim({held[0].token}, test::crash("killed while it claimed"), rule) == 3);
  const auto id = [](std::int64_t number) { return std::to_string(number); };
  CHECK(db.sql.rows("select id, state, crashes, token, place >> 57, case when state = 0 then ''"
                    " when due_at < clock_timestamp() + interval '2 seconds' then 'soon'"
                    " else 'later' end from pgforeman.message order by id") ==
        std::vector<Row>{{id(once), "0", "0", "0", "2", ""},
                         {id(twice), "1", "0", "0", "2", "soon"},
                         {id(often), "1", "1", "0", "2", "later"}});
}

TEST_CASE("A message that kills each claim is dead after MAX_CRASHES", "[claim]") {
  Database db;
  const auto id = db.send();
  const RetryRule rule{2, Millis{0}, Millis{0}, 2};
  const Outcome crash = test::crash("killed while it claimed");
  for (int i = 0; i < 11; ++i) {
    const auto held = db.claim();
    REQUIRE(held.size() == 1);
    CHECK(held[0].attempt == 1);
    CHECK(db.queue.release_claim({held[0].token}, crash, rule) == 1);
    // Again at once the first time; then after a pause; the eleventh time as the rule says.
    CHECK(db.sql.number("select state from pgforeman.message") == (i == 0 ? 0 : 1));
    if (i > 0 && i < 10) {
      CHECK(db.sql.query("select due_at > enqueued_at + interval '1 second'"
                         " from pgforeman.message") == "t");
    }
    db.sql.query("update pgforeman.message set due_at = now() where state = 1");
    CHECK(db.queue.tick().promoted == (i == 0 ? 0 : 1));
  }
  CHECK(db.sql.rows("select attempt, crashes from pgforeman.message") ==
        std::vector<Row>{{"0", "1"}});
  db.queue.tick();
  auto held = db.claim();
  REQUIRE(held.size() == 1);
  CHECK(held[0].attempt == 1);
  db.queue.release_claim({held[0].token}, crash, rule);
  CHECK(db.left() == 0);
  CHECK(db.sql.rows("select id, error from pgforeman.dead_message") ==
        std::vector<Row>{{std::to_string(id), "killed while it claimed"}});
}
