// Whatever happens to a consumer in the middle of its claim: no message is lost, stays leased or
// runs twice.

#include <algorithm>
#include <csignal>

#include "process/bed.h"

using namespace pgforeman::test;

namespace {

/// A trigger on the table of messages: while the gate is shut, claims wait in the server.
class Gate {
 public:
  explicit Gate(Bed& bed) : bed_(bed), key_(bed.conninfo) {
    bed.sql.query(
        "create function gate() returns trigger language plpgsql as $$ begin"
        "  if new.claims <> old.claims then perform pg_advisory_xact_lock_shared(4711); end if;"
        "  return new;"
        "end $$;"
        "create trigger gate before update on pgforeman.message"
        " for each row execute function gate()");
  }
  void shut() { key_.query("select pg_advisory_lock(4711)"); }
  void open() { key_.query("select pg_advisory_unlock(4711)"); }

  /// The slots of the consumers whose claims wait, the lowest first.
  std::vector<int> waiting() {
    std::vector<int> slots;
    for (const auto& row :
         bed_.sql.rows("select split_part(application_name, ' ', 3)::int from pg_stat_activity"
                       " where datname = current_database() and wait_event = 'advisory'"
                       " and application_name like 'pgforeman consumer %' order by 1")) {
      slots.push_back(std::stoi(row[0]));
    }
    return slots;
  }
  void wait_for_claims(std::size_t count) {
    REQUIRE(eventually([&] { return waiting().size() == count; }));
  }

 private:
  Bed& bed_;
  Sql key_;
};

/// Leases of ten minutes: a message that is not released is seen to stay.
const Settings kFleet = {
    {"CONCURRENCY", "4"}, {"BATCH", "1"}, {"HANDLER_MODE", "jsonl"}, {"VISIBILITY_TIMEOUT", "10m"}};

}  // namespace

TEST_CASE("A consumer that dies, stops or loses its session in a claim costs no message",
          "[claiming]") {
  enum class Fate { die, die_long_before, stop, lose_session };
  for (const Fate fate : {Fate::die, Fate::die_long_before, Fate::stop, Fate::lose_session}) {
    INFO("fate " << static_cast<int>(fate));
    Bed bed;
    Gate gate(bed);
    Fleet fleet(bed.settings(kFleet));
    REQUIRE(fleet.wait_ready());
    gate.shut();
    bed.send(40);
    gate.wait_for_claims(4);
    const int slot = gate.waiting().front();
    const auto victim = fleet.status().slots[static_cast<std::size_t>(slot)];
    const bool dies = fate == Fate::die || fate == Fate::die_long_before;
    if (dies) ::kill(victim.pid, SIGKILL);
    if (fate == Fate::stop) ::kill(victim.pid, SIGSTOP);
    if (fate == Fate::lose_session) {
      bed.sql.query(
          "select pg_terminate_backend(pid) from pg_stat_activity"
          " where application_name like 'pgforeman consumer " +
          std::to_string(slot) + " %' and datname = current_database()");
    }
    if (fate == Fate::die_long_before) {
      // The server ends the claim of a client that is long gone, and whose slot has claimed again.
      gate.wait_for_claims(5);
      const double killed = monotonic_now();
      REQUIRE(eventually([&] { return monotonic_now() - killed > 4; }));
    }
    gate.open();
    if (fate == Fate::stop) {
      REQUIRE(bed.wait_for_runs(39, 10s));
      ::kill(victim.pid, SIGCONT);
    }
    CHECK(bed.wait_until_empty(15s));
    CHECK(bed.runs().size() == 40);
    CHECK(distinct(bed.runs()) == 40);
    CHECK(bed.dead() == 0);
    std::int64_t exits = 0;
    for (const auto& [cause, count] : fleet.status().exits) exits += count;
    CHECK(exits == (dies ? 1 : 0));
    stop_cleanly(fleet);
  }
}

TEST_CASE("After TERM no message of a claim under way is started", "[claiming]") {
  Bed bed;
  Gate gate(bed);
  Fleet fleet(bed.settings(kFleet));
  REQUIRE(fleet.wait_ready());
  gate.shut();
  bed.send(40);
  gate.wait_for_claims(4);
  fleet.signal(SIGTERM);
  REQUIRE(fleet.wait_for_log("fleet drains"));
  gate.open();
  const auto end = fleet.wait_end(10s);
  REQUIRE(end);
  CHECK(end->code == 0);
  CHECK(bed.runs().empty());
  CHECK(bed.left() == 40);
  CHECK(bed.claimable() == 40);
  CHECK(bed.sql.number("select coalesce(sum(attempt), 0) from pgforeman.message") == 0);
}
