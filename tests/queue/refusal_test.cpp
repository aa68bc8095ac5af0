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
