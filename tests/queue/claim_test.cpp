#include <atomic>
#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include "queue/database.h"

using namespace pgforeman;
using namespace pgforeman::test;

TEST_CASE("Consumers at once never hold the same message, and miss none", "[claim]") {
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
        const auto batch = queue.claim(7, ++token, Millis{60000});
        looks_at_nothing = batch.empty() ? looks_at_nothing + 1 : 0;
        const std::lock_guard lock(guard);
        for (const auto& m : batch) claimed.insert(m.lease.id);
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

TEST_CASE("A claimed message is nobody else's until its lease ends, then with a higher fence",
          "[claim]") {
  Database db;
  db.send();
  const auto first = db.claim(1, Millis{300});
  REQUIRE(first.size() == 1);
  CHECK(db.claim().empty());
  std::vector<Message> second;
  REQUIRE(eventually([&] { return !(second = db.claim()).empty(); }));
  CHECK(second[0].lease.id == first[0].lease.id);
  CHECK(second[0].fence == first[0].fence + 1);
  CHECK(second[0].attempt == 1);
  CHECK(second[0].lease.token != first[0].lease.token);

  SECTION("and the old token settles, renews and releases nothing") {
    for (const Outcome& outcome : {done(), retry(), dead("x"), released()}) {
      CHECK(db.settle(first[0].lease, outcome) == Settled::lost_lease);
    }
    CHECK(db.queue.renew(std::span(&first[0].lease, 1), Millis{1000}) ==
          std::vector{first[0].lease.id});
    CHECK(db.queue.release_token(first[0].lease.token) == 0);
    CHECK(db.claim().empty());
    CHECK(db.sql.query("select token || ' ' || attempt from pgforeman.message") ==
          std::to_string(second[0].lease.token) + " 0");
    CHECK(db.settle(second[0].lease, done()) == Settled::done);
    CHECK(db.left() == 0);
  }
}

namespace {

using Ids = std::vector<std::int64_t>;

/// Claims one message; false: it said that not all that is done was still held.
bool claims_after(Database& db, const Ids& done, std::int64_t done_token) {
  try {
    const auto claimed =
        db.queue.settle_and_claim(done, done_token, 1, ++db.last_token, Millis{60000}, {});
    CHECK(claimed.size() == 1);
    return true;
  } catch (const DatabaseError& error) {
    CHECK(error.kind() == DatabaseError::Kind::transient);
    return false;
  }
}

}  // namespace

TEST_CASE("A claim settles before what is done, and nothing else that is held", "[claim]") {
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
    CHECK(claims_after(db, done, 1));
    CHECK(db.sql.query("select coalesce(string_agg(id::text, ' ' order by id), '')"
                       " from pgforeman.message where token = 1") == left);
    CHECK(db.sql.number("select count(*) from pgforeman.message where token = 2") == 1);
  }
}

TEST_CASE("A claim settles nothing when some of what is done is no longer held", "[claim]") {
  for (const Ids& done : {Ids{2}, Ids{1, 2, 3}, Ids{1, 3, 2}, Ids{2, 4}, Ids{1, 1}}) {
    Database db;
    for (int i = 0; i < 5; ++i) db.send();
    REQUIRE(db.claim(4).size() == 4);
    db.sql.query("update pgforeman.message set token = 99 where id = 2");
    CHECK_FALSE(claims_after(db, done, 1));
    CHECK(db.sql.number("select count(*) from pgforeman.message where token = 1") == 3);
    CHECK(db.sql.number("select count(*) from pgforeman.message where token = 99") == 1);
    CHECK(db.sql.number("select count(*) from pgforeman.message where token = 0") == 1);
  }
  // No token is nobody's.
  Database db;
  for (int i = 0; i < 3; ++i) db.send();
  for (const Ids& done : {Ids{1}, Ids{1, 2}, Ids{2, 1}}) CHECK_FALSE(claims_after(db, done, 0));
  // Nor does any number do harm.
  const auto most = std::numeric_limits<std::int64_t>::max();
  for (const Ids& done :
       {Ids{most, -most - 1}, Ids{-most - 1, most}, Ids{-1, 0}, Ids{most - 1, most}})
    CHECK_FALSE(claims_after(db, done, 1));
  CHECK(db.left() == 3);
}

TEST_CASE("A claim that could not settle a locked row has claimed nothing", "[claim]") {
  Database db;
  for (int i = 0; i < 2; ++i) db.send();
  const auto held = db.queue.claim(1, 1, Millis{60000});
  REQUIRE(held.size() == 1);
  Sql somebody(db.conninfo);
  somebody.query("begin; select 1 from pgforeman.message where token = 1 for update");
  const std::vector ids{held[0].lease.id};
  try {
    db.queue.settle_and_claim(ids, 1, 1, 2, Millis{60000}, {});
    FAIL("it did not notice");
  } catch (const DatabaseError& error) {
    CHECK(error.kind() == DatabaseError::Kind::locked);
  }
  CHECK(db.sql.number("select count(*) from pgforeman.message where token = 2") == 0);
  somebody.query("commit");
  CHECK(db.queue.settle_and_claim(ids, 1, 1, 3, Millis{60000}, {}).size() == 1);
  CHECK(db.sql.number("select count(*) from pgforeman.message") == 1);
}

TEST_CASE("A claim for several gives each the next message", "[claim]") {
  Database db;
  for (int i = 0; i < 3; ++i) db.send();
  const auto urgent = db.sql.number("select pgforeman.send('q', '{}', priority => 0)");
  const std::vector<std::int64_t> tokens{70, 50, 60, 80, 90};
  const auto claimed = db.queue.settle_and_claim_each({}, tokens, Millis{60000}, {});
  REQUIRE(claimed.size() == 4);
  const std::vector<Lease> expected{{urgent, 70}, {1, 50}, {2, 60}, {3, 80}};
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(claimed[i].lease.id == expected[i].id);
    CHECK(claimed[i].lease.token == expected[i].token);
    CHECK(db.sql.number("select token from pgforeman.message where id = " +
                        std::to_string(expected[i].id)) == expected[i].token);
    Message again = claimed[i];
    again.payload = again.headers = "";
    CHECK(db.queue.fetch(again));
    CHECK(again.payload == claimed[i].payload);
    CHECK(again.headers == claimed[i].headers);
  }
  Message others = claimed[0];
  others.lease.token = 50;
  CHECK_FALSE(db.queue.fetch(others));
  CHECK(db.queue.settle_and_claim_each({}, tokens, Millis{60000}, {}).empty());
}

TEST_CASE("A claim for several settles what each of them has done, or nothing", "[claim]") {
  struct Case {
    std::vector<Lease> done;
    bool all_held;
  };
  const std::vector<Case> cases{{{{1, 11}, {2, 12}}, true},
                                {{{3, 13}, {1, 11}, {2, 12}}, true},
                                {{{2, 12}}, true},
                                {{}, true},
                                {{{1, 12}, {2, 11}}, false},  // another's token
                                {{{1, 11}, {2, 0}}, false},
                                {{{1, 11}, {4, 0}}, false},
                                {{{1, 11}, {99, 12}}, false},
                                {{{1, 11}, {1, 11}}, false}};
  for (const auto& [done, all_held] : cases) {
    Database db;
    for (int i = 0; i < 5; ++i) db.send();
    const std::vector<std::int64_t> first{11, 12, 13};
    REQUIRE(db.queue.settle_and_claim_each({}, first, Millis{60000}, {}).size() == 3);
    const std::vector<std::int64_t> next{21, 22};
    if (all_held) {
      CHECK(db.queue.settle_and_claim_each(done, next, Millis{60000}, {}).size() == 2);
    } else {
      try {
        db.queue.settle_and_claim_each(done, next, Millis{60000}, {});
        FAIL("it did not notice");
      } catch (const DatabaseError& error) {
        CHECK(error.kind() == DatabaseError::Kind::transient);
      }
    }
    const auto gone = all_held ? static_cast<std::int64_t>(done.size()) : 0;
    CHECK(db.left() == 5 - gone);
    for (const Lease& lease : done) {
      CHECK(db.sql.number("select count(*) from pgforeman.message where token between 11 and 13"
                          " and id = " +
                          std::to_string(lease.id)) == (all_held || lease.id > 3 ? 0 : 1));
    }
    CHECK(db.sql.number("select count(*) from pgforeman.message where token > 20") ==
          (all_held ? 2 : 0));
  }
}

TEST_CASE("A claim for several brings the first one's large message alone", "[claim]") {
  Database db;
  db.sql.query(
      "select count(pgforeman.send('q', jsonb_build_object('s', (select string_agg("
      "md5(n::text), '') from generate_series(1, case when i = 3 then 1 else 2000 end) n))))"
      " from generate_series(1, 3) i");
  const std::vector<std::int64_t> tokens{11, 12, 13};
  const auto claimed = db.queue.settle_and_claim_each({}, tokens, Millis{60000}, {});
  REQUIRE(claimed.size() == 3);
  CHECK(claimed[0].payload.size() > 64000);
  CHECK(claimed[1].payload.empty());
  CHECK(claimed[1].headers.empty());
  CHECK(claimed[2].payload.size() > 32);
  Message second = claimed[1];
  CHECK(db.queue.fetch(second));
  CHECK(second.payload == claimed[0].payload);
}

TEST_CASE("A claim for several refuses what is no claim", "[claim]") {
  Database db;
  db.send();
  for (const std::string arguments :
       {"array[1, 0], '1 s'", "array[1, null], '1 s'", "null, '1 s'", "array[1], '0 s'",
        "array[1], null", "array[1], '1 s', '{}', array[1], '{}'"}) {
    try {
      db.sql.query("select pgforeman.claim_each('q', " + arguments + ")");
      FAIL(arguments);
    } catch (const std::exception& error) {
      CHECK_THAT(error.what(), contains("not valid") || contains("equally long"));
    }
  }
  CHECK(db.claim().size() == 1);
}

TEST_CASE("A token of 0 is no token", "[claim]") {
  Database db;
  const auto id = db.send();
  CHECK_THROWS_AS(db.queue.claim(1, 0, Millis{1000}), DatabaseError);
  for (const Outcome& outcome : {done(), retry(), dead("x"), released()}) {
    CHECK(db.settle({id, 0}, outcome) == Settled::lost_lease);
  }
  const Lease none{id, 0};
  CHECK(db.queue.renew(std::span(&none, 1), Millis{1000}) == std::vector{id});
  CHECK(db.queue.release_token(0) == 0);
  CHECK(db.claim().size() == 1);
}

TEST_CASE("A renewed lease outlasts its first end; others' leases are told as lost", "[claim]") {
  Database db;
  for (int i = 0; i < 3; ++i) db.send();
  const auto claimed = db.claim(3, Millis{400});
  REQUIRE(claimed.size() == 3);
  db.settle(claimed[1].lease, done());
  std::vector<Lease> leases;
  for (const auto& m : claimed) leases.push_back(m.lease);
  CHECK(db.queue.renew(leases, Millis{3600000}) == std::vector{claimed[1].lease.id});
  CHECK(db.sql.number("select count(*) from pgforeman.message where visible_at > "
                      "clock_timestamp() + interval '50 minutes'") == 2);
  CHECK(db.queue.renew({}, Millis{1000}).empty());
}

TEST_CASE("A lease whose row somebody has locked is not lost, and is renewed once it can be",
          "[claim]") {
  Database db;
  db.send();
  const auto claimed = db.claim(1, Millis{60000});
  Sql other(db.conninfo);
  other.query("begin; select 1 from pgforeman.message for update");
  CHECK(db.queue.renew(std::span(&claimed[0].lease, 1), Millis{3600000}).empty());
  CHECK(db.sql.query("select visible_at < clock_timestamp() + interval '2 minutes' "
                     "from pgforeman.message") == "t");
  other.query("rollback");
  CHECK(db.queue.renew(std::span(&claimed[0].lease, 1), Millis{3600000}).empty());
  CHECK(db.sql.query("select visible_at > clock_timestamp() + interval '50 minutes' "
                     "from pgforeman.message") == "t");
}

TEST_CASE("Releasing a token hands back all it holds, at once, first of all and at no attempt",
          "[claim]") {
  Database db;
  for (int i = 0; i < 3; ++i) db.send();
  const auto held = db.claim(2);
  const auto others = db.claim(1);
  CHECK(db.queue.release_token(held[0].lease.token) == 2);
  const auto again = db.claim(3);
  REQUIRE(again.size() == 2);
  CHECK(again[0].attempt == 1);
  CHECK(again[0].fence == 2);
  CHECK(again[0].lane == 4);
  CHECK(db.settle(others[0].lease, done()) == Settled::done);
}

TEST_CASE("Each message of a claim that killed waits as long as it was unlucky", "[claim]") {
  Database db;
  const auto once = db.send(), twice = db.send(), often = db.send();
  const auto held = db.claim(3);
  REQUIRE(held.size() == 3);
  db.sql.query("update pgforeman.message set claims = case id when " + std::to_string(once) +
               " then 1 when " + std::to_string(twice) + " then 2 else 11 end");
  const RetryRule rule{5, Millis{60000}, Millis{60000}, 3};
  CHECK(db.queue.blame_token(held[0].lease.token, rule, test::crash("killed while it claimed")) ==
        3);
  const auto id = [](std::int64_t number) { return std::to_string(number); };
  CHECK(db.sql.rows("select id, state, crashes, token, lane, case when state = 0 then ''"
                    " when due_at < clock_timestamp() + interval '2 seconds' then 'soon'"
                    " else 'later' end from pgforeman.message order by id") ==
        std::vector<Row>{{id(once), "0", "0", "0", "4", ""},
                         {id(twice), "1", "0", "0", "4", "soon"},
                         {id(often), "1", "1", "0", "4", "later"}});
}

TEST_CASE("A message that is claimed again and again and never run uses up its crashes",
          "[claim]") {
  Database db;
  const auto id = db.send();
  const RetryRule rule{2, Millis{0}, Millis{0}, 2};
  const Outcome crash = test::crash("killed while it claimed");
  for (int i = 0; i < 11; ++i) {
    const auto held = db.claim();
    REQUIRE(held.size() == 1);
    CHECK(held[0].attempt == 1);
    CHECK(db.queue.blame_token(held[0].lease.token, rule, crash) == 1);
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
  db.queue.blame_token(held[0].lease.token, rule, crash);
  CHECK(db.left() == 0);
  CHECK(db.sql.rows("select id, error from pgforeman.dead_message") ==
        std::vector<Row>{{std::to_string(id), "killed while it claimed"}});
}
