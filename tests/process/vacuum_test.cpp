// A busy fleet keeps its table small by itself, if it may.

#include "bed.h"

using namespace pgforeman::test;

namespace {

const Settings kNoop{
    {"HANDLER_MODE", "noop"}, {"HANDLER", ""}, {"LOG_LEVEL", "info"}, {"CONCURRENCY", "2"}};

std::int64_t vacuums(Bed& bed) {
  return bed.sql.number("select pg_stat_get_vacuum_count('pgforeman.message'::regclass)");
}

void send_many(Bed& bed, int messages) {
  bed.sql.query("select count(*) from pgforeman.send_batch('q', array_fill('1'::jsonb, array[" +
                std::to_string(messages) + "]))");
}

}  // namespace

TEST_CASE("A busy fleet vacuums its table, again and again, and not while little goes",
          "[vacuum]") {
  Bed bed;
  bed.sql.query("alter table pgforeman.message set (autovacuum_enabled = off)");
  Fleet fleet(bed.settings(kNoop));
  send_many(bed, 1000);
  REQUIRE(bed.wait_until_empty(20s));
  CHECK(vacuums(bed) == 0);
  for (int round = 1; round <= 2; ++round) {
    const bool vacuumed = eventually(
        [&] {
          if (bed.left() == 0) send_many(bed, 5000);
          return vacuums(bed) >= round;
        },
        30s);
    REQUIRE(vacuumed);
  }
  REQUIRE(bed.wait_until_empty(20s));
  stop_cleanly(fleet);
  CHECK(fleet.log("the queue's table is left to autovacuum: only its owner may vacuum it").empty());
}

TEST_CASE("A fleet that may not vacuum says so once and works on", "[vacuum]") {
  Bed bed;
  bed.sql.query(
      "do $$ begin create role tenant login; exception when duplicate_object then end $$;"
      "grant usage on schema pgforeman to tenant;"
      "grant select, insert, update, delete on all tables in schema pgforeman to tenant;");
  Settings settings = bed.settings(kNoop);
  settings["DATABASE_URL"] = bed.conninfo + " user=tenant";
  Fleet fleet(settings);
  send_many(bed, 40'000);
  REQUIRE(bed.wait_until_empty(30s));
  REQUIRE(
      fleet.wait_for_log("the queue's table is left to autovacuum: only its owner may vacuum it"));
  send_many(bed, 40'000);
  REQUIRE(bed.wait_until_empty(30s));
  CHECK(vacuums(bed) == 0);
  stop_cleanly(fleet);
  CHECK(fleet.log("the queue's table is left to autovacuum: only its owner may vacuum it").size() ==
        1);
}
