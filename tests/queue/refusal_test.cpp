// What the database refuses with any error: the session goes on, and other messages do not pay.

#include "support/refusal.h"

#include "queue/database.h"
#include "support/sqlstates.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

std::string stuck(const std::string& state) {
  return "{\"stuck\": \"" + state + "\"}";
}

/// Calls and returns the error's kind; nothing if there was none.
template <typename Call>
std::optional<DatabaseError::Kind> failure(Call&& call) {
  try {
    call();
    return std::nullopt;
  } catch (const DatabaseError& error) {
    return error.kind();
  }
}

bool is_of_session(DatabaseError::Kind kind) {
  return DatabaseError(kind, "").is_of_session();
}

}  // namespace

TEST_CASE("A count that fails with any error fails alone", "[refusals]") {
  Database db;
  refuse(db.sql, RefusedCall::count);
  for (const auto& state : sqlstates()) {
    CAPTURE(state);
    db.send(stuck(state));
    db.sql.query("update pgforeman.message set state = 1, due_at = clock_timestamp()");
    const auto kind = failure([&] { db.queue.tick(); });
    REQUIRE(kind);
    CHECK_FALSE(is_of_session(*kind));
    CHECK(db.queue.tick(std::nullopt).promoted == 1);
    db.sql.query("delete from pgforeman.message");
  }
}

TEST_CASE("A claim row by row passes a message that is refused with any error", "[refusals]") {
  Database db;
  refuse(db.sql, RefusedCall::claim);
  for (const auto& state : sqlstates()) {
    CAPTURE(state);
    const auto bad = db.send(stuck(state));
    const auto good = db.send("1");
    const auto kind = failure([&] { db.claim(2); });
    REQUIRE(kind);
    CHECK_FALSE(is_of_session(*kind));
    const auto claimed = db.queue.claim_each(2, db.next_claim(), Millis{60'000});
    REQUIRE(claimed.messages.size() == 1);
    CHECK(claimed.messages[0].id == good);
    REQUIRE(claimed.refused.size() == 1);
    CHECK(claimed.refused[0].id == bad);
    CHECK_THAT(claimed.refused[0].reason, contains("not this one, " + state));
    db.sql.query("truncate pgforeman.message");
  }
}

namespace {

/// What a trigger does to a change of a message with a text "stuck".
struct Refusing {
  const char* name;
  const char* body;
  const char* kind = "trigger refuse before";
  const char* suffix = "for each row";
};

constexpr Refusing kRefusing[] = {
    {"silently", "if stuck then return null; end if;"},
    {"at the commit", "if stuck then raise exception 'not this one'; end if;",
     "constraint trigger refuse after", "deferrable initially deferred for each row"},
    {"by what was before", "if stuck then return old; end if;"},
    {"behind a lock", "if stuck then perform from public.tenant for update; end if;"},
};

/// Changes of messages in table `message`, or inserts of dead letters.
void refuse_so(Sql& sql, const Refusing& how, bool dead = false) {
  sql.query(
      std::string("create table if not exists public.tenant as select 1 as id;"
                  "create function public.refuse() returns trigger language plpgsql as $$"
                  " declare stuck boolean := (case tg_op when 'INSERT' then new else old end)"
                  ".payload->>'stuck' is not null; begin ") +
      how.body + " return case tg_op when 'DELETE' then old else new end; end $$;" + " create " +
      how.kind +
      (dead ? " insert on pgforeman.dead_message " : " update or delete on pgforeman.message ") +
      how.suffix + " execute function public.refuse()");
}

}  // namespace

TEST_CASE("What a trigger refuses silently, at the commit or behind a lock is refused",
          "[refusals]") {
  for (const Refusing& how : kRefusing) {
    CAPTURE(how.name);
    Database db;
    refuse_so(db.sql, how);
    Sql tenant(db.conninfo);
    tenant.query("begin; select from public.tenant for update");
    const auto bad = db.send("{\"stuck\": 1}");
    const auto good = db.send("1");
    CHECK(failure([&] { db.claim(2); }));
    const auto claimed = db.queue.claim_each(2, db.next_claim(), Millis{60'000});
    REQUIRE(claimed.messages.size() == 1);
    CHECK(claimed.messages[0].id == good);
    REQUIRE(claimed.refused.size() == 1);
    CHECK(claimed.refused[0].id == bad);
    CHECK(claimed.blamed);

    db.sql.query(
        "alter table pgforeman.message disable trigger refuse;"
        "update pgforeman.message set state = 1, due_at = clock_timestamp(), token = 0;"
        "alter table pgforeman.message enable trigger refuse");
    const auto tick = db.queue.tick(std::nullopt);
    CHECK(tick.promoted == 1);
    CHECK(tick.refused.ids == std::vector<std::int64_t>{bad});
    CHECK(tick.refused.blamed);
    // The next one leaves it out.
    CHECK(db.queue.tick(std::nullopt, 0, 10'000, tick.refused.ids).refused.ids.empty());
    tenant.query("rollback");
  }
}

TEST_CASE("A settle or renewal that a trigger keeps silently from its row is no lost lease",
          "[refusals]") {
  Database db;
  db.send("{\"stuck\": 1}");
  const auto held = db.claim();
  REQUIRE(held.size() == 1);
  refuse_so(db.sql, kRefusing[0]);
  const Lease lease = held[0].lease();
  for (const Outcome& outcome : {done(), retry("x"), released(), dead("x")}) {
    CHECK(failure([&] { db.settle(lease, outcome); }) == DatabaseError::Kind::rejected);
  }
  CHECK(failure([&] { db.queue.renew({&lease, 1}, Millis{60'000}); }));
  CHECK(db.left() == 1);
  // The dead letter is not written: its message stays.
  db.sql.query("drop trigger refuse on pgforeman.message; drop function public.refuse()");
  refuse_so(db.sql, kRefusing[0], true);
  CHECK(failure([&] { db.settle(lease, dead("x")); }) == DatabaseError::Kind::rejected);
  CHECK(db.left() == 1);
}

TEST_CASE("A message that cannot be released costs no other of its claim its release",
          "[refusals]") {
  Database db;
  db.send("{\"stuck\": 1}");
  db.send("1");
  db.send("2");
  const Claim claim = db.next_claim();
  REQUIRE(db.queue.claim(3, claim, Millis{60'000}).size() == 3);
  refuse_so(db.sql, {"with an error", "if stuck then raise exception 'not this one'; end if;"});
  CHECK(db.queue.release_claim(claim) == 2);
  CHECK(db.claim(3).size() == 2);
}
