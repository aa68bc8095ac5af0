// Leases: kept for a consumer that works, lost by one that hangs, worth nothing once they moved on.

#include <poll.h>

#include <algorithm>

#include "bed.h"
#include "support/prometheus_text.h"

using namespace pgforeman::test;

namespace {

/// A fleet as a host that pauses, and goes on later as if nothing had been.
std::vector<pid_t> all_of(const Fleet& fleet) {
  std::vector<pid_t> pids = {fleet.pid()};
  const Status status = fleet.status();
  for (const auto& slot : status.slots) pids.push_back(slot.pid);
  pids.push_back(status.maintenance.pid);
  return pids;
}

void signal_all(const std::vector<pid_t>& pids, int signal) {
  for (const pid_t pid : pids) ::kill(pid, signal);
}

/// The least that is left of any lease of a running message, polled until the queue is empty.
double least_lease_until_empty(Bed& bed) {
  double least = 1e9;
  REQUIRE(eventually(
      [&] {
        const auto row = bed.sql.rows(
            "select count(*), coalesce(min(extract(epoch from visible_at - clock_timestamp()))"
            " filter (where token <> 0), 1e9) from pgforeman.message")[0];
        least = std::min(least, std::stod(row[1]));
        return row[0] == "0";
      },
      30s));
  return least;
}

const Settings kShortLease{{"VISIBILITY_TIMEOUT", "2s"}, {"POLL_INTERVAL", "50ms"}};

}  // namespace

TEST_CASE("A hundred handlers longer than the visibility timeout keep their leases", "[leases]") {
  Bed bed;
  bed.send(100, R"({"do": "sleep", "ms": 5000})");
  Fleet fleet(bed.settings(with(kShortLease, {{"CONCURRENCY", "50"}})));
  const double least = least_lease_until_empty(bed);
  say("P22 100 handlers of 5 s under a lease of 2 s: each ran once, never less than " +
      std::to_string(least) + " s of lease left");
  CHECK(bed.runs().size() == 100);
  CHECK(fleet.status().messages.at("lost_lease") == 0);
  CHECK(least > 0.5);                          // a half is when consumers help themselves
  CHECK(fleet.log("leases renewed").empty());  // that is for debugging
  stop_cleanly(fleet);
}

TEST_CASE("Without maintenance consumers keep their leases themselves", "[leases]") {
  Bed bed;
  bed.send(100, R"({"do": "sleep", "ms": 5500})");
  Fleet fleet(bed.settings(with(kShortLease, {{"CONCURRENCY", "100"}})));
  REQUIRE(bed.wait_for_runs(100));
  const pid_t maintenance = fleet.status().maintenance.pid;
  const double stopped_at = monotonic_now();
  ::kill(maintenance, SIGSTOP);
  double least = 1e9;
  // Killed and replaced at its deadline if it is stopped for longer.
  while (monotonic_now() - stopped_at < 5) {
    least = std::min(least,
                     std::stod(bed.sql.query("select coalesce(min(extract(epoch from visible_at -"
                                             " clock_timestamp())), 1e9) from pgforeman.message")));
    ::poll(nullptr, 0, 20);
  }
  ::kill(maintenance, SIGCONT);
  least = std::min(least, least_lease_until_empty(bed));
  say("P22 the same with maintenance stopped for 5 s: never less than " + std::to_string(least) +
      " s left");
  CHECK(bed.runs().size() == 100);
  CHECK(fleet.wait_for_status([](const Status& s) { return s.messages.at("done") == 100; }));
  CHECK(fleet.status().messages.at("lost_lease") == 0);
  CHECK(least > 0.2);
  stop_cleanly(fleet);
}

TEST_CASE("A handler past its deadline loses its lease, and the message runs again", "[leases]") {
  Bed bed;
  const auto settings =
      bed.settings(with(kShortLease, {{"CONCURRENCY", "1"}, {"HANDLER_TIMEOUT", "500ms"}}));
  Fleet first(settings);
  bed.send(1, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(1));
  const double stopped_at = monotonic_now();
  // No process ends the handler now: its consumer would have.
  ::kill(first.status().slots[0].pid, SIGSTOP);
  Fleet second(settings);
  REQUIRE(bed.wait_for_runs(2));
  const double took = monotonic_now() - stopped_at;
  say("a hanging consumer's message ran elsewhere after " + std::to_string(took) +
      " s: timeout 0.5 s, grace 2 s, lease 2 s");
  CHECK(took < 6);
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  stop_cleanly(second);
  ::kill(first.status().slots[0].pid, SIGCONT);
  CHECK(first.wait_for_status([](const Status& s) { return s.messages.at("lost_lease") == 1; }));
  stop_cleanly(first);
  CHECK(bed.runs().size() == 2);
}

TEST_CASE("A hundred settles under old tokens change nothing", "[leases]") {
  Bed bed;
  const auto settings = bed.settings(with(kShortLease, {{"CONCURRENCY", "1"},
                                                        {"BATCH", "100"},
                                                        {"HANDLER_MODE", "jsonl"},
                                                        {"HANDLER", bed.handler("jsonl")}}));
  Fleet first(settings);
  bed.sql.query(
      "select pgforeman.send_batch('q', array_fill('{\"do\": \"hold\"}'::jsonb, array[100]))");
  REQUIRE(bed.wait_for_runs(1));
  REQUIRE(bed.sql.number("select count(*) from pgforeman.message where token <> 0") == 100);
  const auto host = all_of(first);
  signal_all(host, SIGSTOP);
  // As if that claim said nothing about the messages: each would be run alone otherwise.
  bed.sql.query("update pgforeman.message set claims_base = claims");
  Fleet second(settings);
  REQUIRE(bed.wait_for_runs(2));
  REQUIRE(bed.sql.number("select count(*) from pgforeman.message where claims = 2") == 100);
  const std::string rows =
      "select id, token, attempt, crashes, claims from pgforeman.message order by id";
  const auto held = bed.sql.rows(rows);
  signal_all(host, SIGCONT);
  REQUIRE(
      first.wait_for_status([](const Status& s) { return s.messages.at("lost_lease") == 100; }));
  CHECK(bed.sql.rows(rows) == held);
  bed.go();
  REQUIRE(bed.wait_until_empty(20s));
  CHECK(second.wait_for_status([](const Status& s) { return s.messages.at("done") == 100; }));
  CHECK(first.status().messages.at("done") == 0);
  CHECK(bed.runs().size() == 101);
  CHECK(sample(first.metrics(), "pgforeman_failures_total{queue=\"q\",cause=\"lease_lost\"}") ==
        100);
  say("P21 100 leases moved on while their fleet was paused: 100 lost_lease, none done, no row "
      "changed");
  stop_cleanly(first);
  stop_cleanly(second);
}

TEST_CASE("A deploy and a lost host cost a hundred messages no attempt", "[leases]") {
  Bed bed;
  const auto settings = bed.settings(
      with(kShortLease, {{"CONCURRENCY", "4"}, {"BATCH", "25"}, {"SHUTDOWN_GRACE", "200ms"}}));
  bed.send(100, R"({"do": "hold"})");
  const auto attempts = [&] {
    return bed.sql.query(
        "select string_agg(distinct attempt || ' ' || crashes, ',') from pgforeman.message");
  };
  std::vector<double> freed;
  for (int deploy = 0; deploy < 5; ++deploy) {
    const auto runs = bed.runs().size();
    Fleet fleet(settings);
    REQUIRE(bed.wait_for_runs(runs + 4));
    const double start = monotonic_now();
    fleet.signal(SIGTERM);
    REQUIRE(eventually([&] { return bed.claimable() >= 96; }));
    freed.push_back(monotonic_now() - start);
    REQUIRE(fleet.wait_end());
    CHECK(bed.claimable() == 100);
    CHECK(attempts() == "0 0");
  }
  say("P24 96 unstarted messages claimable after TERM, 5 deploys: " + in_ms(freed));
  CHECK(figures(freed).worst < allowed(0.150));  // before the running ones are ended
  for (int lost = 0; lost < 2; ++lost) {
    const auto runs = bed.runs().size();
    Fleet fleet(settings);
    REQUIRE(bed.wait_for_runs(runs + 4));
    signal_all(all_of(fleet), SIGKILL);
    REQUIRE(eventually([&] { return bed.claimable() == 100; }));  // by the visibility timeout
    CHECK(attempts() == "0 0");
  }
  bed.go();
  Fleet fleet(settings);
  CHECK(bed.wait_until_empty(20s));
  CHECK(bed.dead() == 0);
  for (const auto& run : bed.runs()) CHECK(run.attempt == 1);
  say("P24 100 messages, 5 deploys and 2 lost hosts: no attempt, no crash");
  stop_cleanly(fleet);
}

TEST_CASE("After TERM nothing is claimed and nothing of a batch is started", "[leases]") {
  Bed bed;
  const auto settings = bed.settings({{"CONCURRENCY", "4"},
                                      {"BATCH", "20"},
                                      {"HANDLER_MODE", "jsonl"},
                                      {"HANDLER", bed.handler("jsonl")}});
  std::vector<double> late;
  for (int trial = 0; trial < 100; ++trial) {
    if (bed.left() < 2000) bed.send(4000, R"({"do": "sleep", "ms": 2})");
    const auto runs = bed.runs().size();
    Fleet fleet(settings, Fleet::Wait::port);
    REQUIRE(bed.wait_for_runs(runs + 20 + static_cast<std::size_t>(trial)));
    const double told = wall_now();
    fleet.signal(SIGTERM);
    const auto end = fleet.wait_end();
    REQUIRE(end);
    REQUIRE(end->code == 0);
    late.push_back(std::max(0.0, bed.runs().back().time - told));
    REQUIRE(bed.sql.number("select count(*) from pgforeman.message where token <> 0") == 0);
  }
  say("P25 last start of a message after TERM, 100 trials: " + in_ms(late));
  CHECK(figures(late).median <= allowed(0.010));
  CHECK(figures(late).worst <= allowed(0.100));
  CHECK(bed.sql.query(
            "select string_agg(distinct attempt || ' ' || crashes, ',') from pgforeman.message") ==
        "0 0");
  CHECK(distinct(bed.runs()) == bed.runs().size());
}

TEST_CASE("A lost lease does not stop its consumer", "[leases]") {
  Bed bed;
  bed.send(3, R"({"do": "hold"})");
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"BATCH", "3"}, {"VISIBILITY_TIMEOUT", "3s"}}));
  REQUIRE(bed.wait_for_runs(1));
  bed.sql.query(
      "update pgforeman.message set token = 1, visible_at = now() + '1 hour' where id = 1");
  REQUIRE(bed.wait_for_runs(2));
  CHECK(bed.runs()[1].id == 2);
  const pid_t consumer = fleet.status().slots[0].pid;
  const double cpu = process_state(consumer).cpu_seconds;
  const double start = monotonic_now();
  REQUIRE(eventually([&] { return monotonic_now() - start > 1; }));
  CHECK(process_state(consumer).cpu_seconds - cpu < 0.1);
  // Its death in the same batch settles nothing of that message again.
  ::kill(consumer, SIGKILL);
  REQUIRE(bed.wait_for_runs(3));
  bed.go();
  CHECK(eventually([&] { return bed.left() == 1; }));
  CHECK(
      fleet.wait_for_status([](const Status& status) { return status.messages.at("done") == 2; }));
  CHECK(fleet.status().messages.at("lost_lease") == 1);
  stop_cleanly(fleet);
}

TEST_CASE("A consumer resumed after its lease moved changes nothing", "[leases]") {
  // The other fleet still runs the message, or has finished it, when the first one comes back.
  // (What the first one then says of it: the next test.)
  for (const bool finished : {false, true}) {
    INFO("finished: " << finished);
    Bed bed;
    const Settings settings{
        {"CONCURRENCY", "1"}, {"VISIBILITY_TIMEOUT", "1s"}, {"POLL_INTERVAL", "50ms"}};
    Fleet first(bed.settings(settings));
    bed.send(1, R"({"do": "hold"})");
    REQUIRE(bed.wait_for_runs(1));
    // All of it, as a host that pauses: a maintenance process that lives renews the lease.
    const auto at_work = first.status();
    const std::vector<pid_t> host = {first.pid(), at_work.slots[0].pid, at_work.maintenance.pid};
    for (const pid_t pid : host) ::kill(pid, SIGSTOP);

    Fleet second(bed.settings(settings));
    REQUIRE(bed.wait_for_runs(2));
    // The first one's handler was not stopped: it ends well, for nothing.
    if (finished) {
      bed.go();
      REQUIRE(bed.wait_until_empty(10s));
    }
    const auto row = bed.sql.rows("select token, attempt, claims from pgforeman.message");
    for (const pid_t pid : host) ::kill(pid, SIGCONT);
    const auto line =
        first.wait_for_log("lease lost: another holder has the message, nothing was changed");
    REQUIRE(line);
    CHECK(first.wait_for_status(
        [](const Status& status) { return status.messages.at("lost_lease") == 1; }));
    CHECK(bed.sql.rows("select token, attempt, claims from pgforeman.message") == row);
    bed.go();
    REQUIRE(bed.wait_until_empty(10s));
    CHECK(second.wait_for_status(
        [](const Status& status) { return status.messages.at("done") == 1; }));
    CHECK(first.status().messages.at("done") == 0);
    CHECK(bed.runs().size() == 2);
    CHECK(bed.runs()[1].fence > bed.runs()[0].fence);
    CHECK(bed.dead() == 0);
    // It lost a message, not its mind.
    second.stop();
    bed.send(3);
    CHECK(bed.wait_until_empty(10s));
    CHECK(first.wait_for_status(
        [](const Status& status) { return status.messages.at("done") == 3; }));
    stop_cleanly(first);
  }
}

TEST_CASE("A consumer that is done after its lease moved changes nothing", "[leases]") {
  Bed bed;
  const Settings settings{
      {"CONCURRENCY", "1"}, {"VISIBILITY_TIMEOUT", "60s"}, {"POLL_INTERVAL", "50ms"}};
  Fleet first(bed.settings(settings));
  bed.send(1, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(1));
  bed.sql.query("update pgforeman.message set visible_at = now() - interval '1 s'");
  // Its handler writes elsewhere, and holds when the first one's goes on.
  Fleet second(bed.settings(with(settings, {{"HANDLER", bed.handler() + "2"}})));
  REQUIRE(second.wait_for_status(
      [](const Status& status) { return status.slots[0].phase == "running"; }));
  const std::string row = "select token, attempt, claims from pgforeman.message";
  const auto held = bed.sql.rows(row);
  REQUIRE(held.size() == 1);
  bed.go();
  CHECK(first.wait_for_status(
      [](const Status& status) { return status.messages.at("lost_lease") == 1; }));
  CHECK(bed.sql.rows(row) == held);
  bed.folder.write("runs2.go", "");
  CHECK(bed.wait_until_empty(10s));
  CHECK(
      second.wait_for_status([](const Status& status) { return status.messages.at("done") == 1; }));
  CHECK(first.status().messages.at("done") == 0);
  stop_cleanly(first);
  stop_cleanly(second);
}
