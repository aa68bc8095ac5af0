// Consumers that want one message each claim together, and whoever of them fails, no message is
// lost to it, stays leased or runs twice.

#include <algorithm>
#include <csignal>

#include "process/bed.h"

using namespace pgforeman::test;

namespace {

/// Claims wait while it is shut; who claimed what with which transaction is written down.
struct Gate {
  explicit Gate(Bed& bed) : bed_(bed), key_(bed.conninfo) {
    bed.sql.query(
        "create table claimed (id bigint, token bigint, size int, xid xid8 default"
        " pg_current_xact_id());"
        "create function gate() returns trigger language plpgsql as $$ begin"
        "  if new.claims <> old.claims and new.payload->>'do' is null then"
        "    insert into public.claimed values (new.id, new.token, length(new.payload::text));"
        "    perform pg_advisory_xact_lock_shared(4711);"
        "  end if;"
        "  return new;"
        "end $$;"
        "create trigger gate before update on pgforeman.message"
        " for each row execute function gate()");
  }
  void shut() { key_.query("select pg_advisory_lock(4711)"); }
  void open() { key_.query("select pg_advisory_unlock(4711)"); }
  /// One claim passes, or several that wait already.
  void let_pass() { key_.query("select pg_advisory_unlock(4711); select pg_advisory_lock(4711)"); }

  /// Sends `count` messages, and shuts the gate before a claim for several. Returns whose it is.
  int claim_together(int count) {
    shut();
    bed_.send(count);
    for (int i = 0; i < 20; ++i) {
      REQUIRE(eventually([&] { return who_waits("claim") >= 0; }));
      if (const int slot = who_waits("claim_each"); slot >= 0) return slot;
      let_pass();
    }
    FAIL("they do not claim together");
    return -1;
  }
  static void wait_until_all_claim(Fleet& fleet) {
    REQUIRE(fleet.wait_for_status([](const Status& s) {
      return std::all_of(s.slots.begin(), s.slots.end(),
                         [](const SlotStatus& slot) { return slot.phase == "claiming"; });
    }));
  }
  /// Whose call of that function waits at the gate; -1: nobody's.
  int who_waits(const std::string& function) {
    return static_cast<int>(bed_.sql.number(
        "select coalesce(min(split_part(application_name, ' ', 3)::int), -1)"
        " from pg_stat_activity where datname = current_database() and wait_event = 'advisory'"
        " and application_name like 'pgforeman consumer %' and query like '%" +
        function + "%'"));
  }
  std::int64_t waiting() {
    return bed_.sql.number(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event ="
        " 'advisory'");
  }
  /// How many messages were claimed by a transaction that claimed others as well.
  std::int64_t together(const std::string& which = "true") {
    return bed_.sql.number(
        "select count(*) from claimed c where " + which +
        " and exists (select from claimed o where o.xid = c.xid and o.token <> c.token)");
  }

 private:
  Bed& bed_;
  Sql key_;
};

/// A message that nobody gives back would be seen to stay.
const Settings kFleet = {
    {"CONCURRENCY", "4"}, {"BATCH", "1"}, {"HANDLER_MODE", "jsonl"}, {"VISIBILITY_TIMEOUT", "10m"}};

}  // namespace

TEST_CASE("Siblings that want one message each claim together, and get each its own",
          "[combining]") {
  Bed bed;
  Gate gate(bed);
  // What they carry arrives unharmed, also what has no room in the memory that they share.
  const std::string out = bed.folder.file("sums");
  Fleet fleet(
      with(bed.settings(kFleet), {{"CONCURRENCY", "8"},
                                  {"HANDLER_MODE", "exec"},
                                  {"HANDLER", "sh -c 'tr -d \\\\n | md5sum >> " + out + "'"}}));
  REQUIRE(fleet.wait_ready());
  bed.sql.query(
      "create table sent as select md5(p::text) sum from (select"
      " jsonb_build_object('n', n, 'pad', repeat(chr(64 + n % 50), n * n)) p"
      " from generate_series(1, 200) n) s");
  gate.shut();
  bed.sql.query(
      "select count(pgforeman.send('q',"
      " jsonb_build_object('n', n, 'pad', repeat(chr(64 + n % 50), n * n)), headers =>"
      " jsonb_build_object('n', n))) from generate_series(1, 200) n");
  // However fast they are or slow, they meet at the gate.
  for (int i = 0; i < 5; ++i) {
    gate.wait_until_all_claim(fleet);
    gate.let_pass();
  }
  gate.open();
  REQUIRE(bed.wait_until_empty(60s));
  std::vector<std::string> sums;
  for (const auto& line : read_lines(out)) sums.push_back(line.substr(0, 32));
  std::sort(sums.begin(), sums.end());
  std::vector<std::string> sent;
  for (const auto& row : bed.sql.rows("select sum from sent order by sum collate \"C\"")) {
    sent.push_back(row[0]);
  }
  CHECK((sums == sent));  // one by one they say nothing
  CHECK(gate.together() > 10);
  CHECK(gate.together("size > 16384") > 0);
  CHECK(bed.sql.number("select count(*) - count(distinct token) from claimed") == 0);
  CHECK(bed.sql.number("select count(distinct id) from claimed") == 200);
  CHECK(fleet.wait_for_status([](const Status& s) { return s.messages.at("done") == 200; }));
  CHECK(fleet.status().exits.empty());
  stop_cleanly(fleet);
}

TEST_CASE("Who claims for others may die, stop or lose its session", "[combining]") {
  enum class Fate { die, die_long_before, stop, lose_session, die_waiting };
  for (const Fate fate :
       {Fate::die, Fate::die_long_before, Fate::stop, Fate::lose_session, Fate::die_waiting}) {
    INFO("fate " << static_cast<int>(fate));
    Bed bed;
    Gate gate(bed);
    Fleet fleet(bed.settings(kFleet));
    REQUIRE(fleet.wait_ready());
    const int slot = gate.claim_together(40);
    std::size_t exits = 0, sent = 40;
    const auto kill = [&](const SlotStatus& victim, int signal) {
      ::kill(victim.pid, signal);
      if (signal == SIGKILL) ++exits;
    };
    const auto slots = fleet.status().slots;
    const auto& combiner = slots[static_cast<std::size_t>(slot)];
    if (fate == Fate::die_long_before) {
      // Its siblings shall have nothing else to do but to look for what came of it.
      sent -= static_cast<std::size_t>(
          bed.sql.number("with gone as (delete from pgforeman.message where id in (select id from"
                         " pgforeman.message where token = 0 for update skip locked) returning 1) "
                         "select count(*) from gone"));
    }
    if (fate == Fate::die || fate == Fate::die_long_before) kill(combiner, SIGKILL);
    if (fate == Fate::stop) kill(combiner, SIGSTOP);
    if (fate == Fate::lose_session) {
      bed.sql.query(
          "select pg_terminate_backend(pid) from pg_stat_activity"
          " where application_name like 'pgforeman consumer " +
          std::to_string(slot) + " %' and datname = current_database()");
    }
    if (fate == Fate::die_waiting) {
      for (const auto& other : slots) {
        if (other.pid != combiner.pid) kill(other, SIGKILL);
      }
    }
    if (fate == Fate::die_long_before) {
      const double killed = monotonic_now();
      REQUIRE(eventually([&] { return monotonic_now() - killed > 4; }));
    }
    gate.open();
    if (fate == Fate::stop) {
      // All but its own: the others wait for it for three seconds.
      REQUIRE(bed.wait_for_runs(sent - 1, 10s));
      kill(combiner, SIGCONT);
    }
    CHECK(bed.wait_until_empty(15s));
    CHECK(bed.runs().size() == sent);
    CHECK(distinct(bed.runs()) == sent);
    CHECK(bed.dead() == 0);
    std::int64_t seen = 0;
    for (const auto& [cause, count] : fleet.status().exits) seen += count;
    CHECK(seen == static_cast<std::int64_t>(exits));
    stop_cleanly(fleet);
  }
}

TEST_CASE("What a claim got late is handed back though its consumer runs something else",
          "[combining]") {
  Bed bed;
  Gate gate(bed);
  Fleet fleet(bed.settings(kFleet));
  REQUIRE(fleet.wait_ready());
  const int slot = gate.claim_together(20);
  const auto done = static_cast<std::int64_t>(bed.runs().size());
  // For those whose claims the killed one had in hand, and for who replaces it.
  bed.sql.query(
      "update pgforeman.message set payload = '{\"do\": \"hold\"}' where id in (select id"
      " from pgforeman.message where token = 0 for update skip locked)");
  ::kill(fleet.status().slots[static_cast<std::size_t>(slot)].pid, SIGKILL);
  // Whoever was too late to be taken along may wait at the gate, as the statement of the killed
  // one.
  REQUIRE(fleet.wait_for_status([&](const Status& s) {
    const auto running = std::count_if(s.slots.begin(), s.slots.end(), [](const SlotStatus& one) {
      return one.phase == "running";
    });
    return running + gate.waiting() == 4 + 1;
  }));
  gate.open();
  // The statement of the killed one ends, and they hold what nobody knows of.
  REQUIRE(eventually([&] { return gate.together() > 1; }));
  CHECK(eventually([&] { return bed.claimable() == bed.left() - 4; }, 15s));
  bed.go();
  CHECK(bed.wait_until_empty(15s));
  CHECK(static_cast<std::int64_t>(bed.runs().size()) == 20);
  CHECK(distinct(bed.runs()) == 20);
  CHECK(done < 20);
  stop_cleanly(fleet);
}

TEST_CASE("TERM while claims are made together: nothing of them is started", "[combining]") {
  Bed bed;
  Gate gate(bed);
  Fleet fleet(bed.settings(kFleet));
  REQUIRE(fleet.wait_ready());
  gate.claim_together(40);
  gate.wait_until_all_claim(fleet);
  const auto started = static_cast<std::int64_t>(bed.runs().size());
  fleet.signal(SIGTERM);
  REQUIRE(fleet.wait_for_log("fleet drains"));
  gate.open();
  const auto end = fleet.wait_end(10s);
  REQUIRE(end);
  CHECK(end->code == 0);
  CHECK(static_cast<std::int64_t>(bed.runs().size()) == started);
  CHECK(bed.sql.number("select count(*) from claimed") > started);
  CHECK(bed.left() == 40 - started);
  CHECK(bed.claimable() == bed.left());
  CHECK(bed.sql.number("select coalesce(sum(attempt), 0) from pgforeman.message") == 0);
}

TEST_CASE("What one of several may not settle holds up none of the others", "[combining]") {
  Bed bed;
  Gate gate(bed);
  Fleet fleet(bed.settings(kFleet));
  REQUIRE(fleet.wait_ready());
  bed.send(4, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(4));
  bed.send(8);
  const std::string one = "where id = (select min(id) from pgforeman.message)";
  // One claims, and then those who came meanwhile together.
  const auto go = [&] {
    gate.shut();
    bed.go();
    gate.wait_until_all_claim(fleet);
    gate.open();
  };

  SECTION("somebody took it") {
    bed.sql.query("update pgforeman.message set token = 99 " + one);
    go();
    REQUIRE(eventually([&] { return bed.left() == 1; }));
    CHECK(bed.sql.number("select token from pgforeman.message") == 99);
    CHECK(fleet.wait_for_status([](const Status& s) {
      return s.messages.at("done") == 11 && s.messages.at("lost_lease") == 1;
    }));
  }
  SECTION("somebody has locked it") {
    Sql somebody(bed.conninfo);
    somebody.query("begin; select from pgforeman.message " + one + " for update");
    go();
    REQUIRE(eventually([&] { return bed.left() == 1; }));
    somebody.query("commit");
    CHECK(bed.wait_until_empty(15s));
    CHECK(fleet.wait_for_status([](const Status& s) { return s.messages.at("done") == 12; }));
  }
  CHECK(bed.runs().size() == 12);
  stop_cleanly(fleet);
}
