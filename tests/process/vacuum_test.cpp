// A busy fleet keeps its table small by itself, if it may.

#include <functional>

#include "bed.h"

using namespace pgforeman::test;

namespace {

const Settings kNoop{{"HANDLER_MODE", "noop"},
                     {"NOOP_DISCARDS", "yes"},
                     {"HANDLER", ""},
                     {"LOG_LEVEL", "info"},
                     {"CONCURRENCY", "2"}};

constexpr auto kLeft = "the queue's table is left to autovacuum: only its owner may vacuum it";

std::int64_t vacuums(Bed& bed) {
  return bed.sql.number("select pg_stat_get_vacuum_count('pgforeman.message'::regclass)");
}

void send_many(Bed& bed, int messages) {
  bed.sql.query("select count(*) from pgforeman.send_batch('q', array_fill('1'::jsonb, array[" +
                std::to_string(messages) + "]))");
}

}  // namespace

TEST_CASE("A busy fleet vacuums its table, again and again", "[vacuum]") {
  Bed bed;
  bed.sql.query("alter table pgforeman.message set (autovacuum_enabled = off)");
  Fleet fleet(bed.settings(kNoop));
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
  CHECK(fleet.log(kLeft).empty());
}

TEST_CASE("A fleet without the right to vacuum logs it once and works on", "[vacuum]") {
  Bed bed;
  bed.sql.query(
      "do $$ begin create role tenant login; exception when duplicate_object then end $$;"
      "grant usage on schema pgforeman to tenant;"
      "grant select, insert, update, delete on all tables in schema pgforeman to tenant;"
      "grant usage on sequence pgforeman.message_id_seq to tenant;"
      "grant execute on all functions in schema pgforeman to tenant;");
  Settings settings = bed.settings(kNoop);
  settings["DATABASE_URL"] = bed.conninfo + " user=tenant";
  Fleet fleet(settings);
  const auto work = [&](const std::function<bool()>& until) {
    return eventually(
        [&] {
          if (bed.left() == 0) send_many(bed, 5000);
          return until();
        },
        30s);
  };
  REQUIRE(work([&] { return !fleet.log(kLeft).empty(); }));
  const auto done = [&] { return fleet.status().messages.at("done"); };
  const auto before = done();
  REQUIRE(work([&] { return done() > before + 50'000; }));
  CHECK(vacuums(bed) == 0);
  stop_cleanly(fleet);
  CHECK(fleet.log(kLeft).size() == 1);
}
