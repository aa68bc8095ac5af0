// TERM, INT and QUIT: the fleet ends in time, and what it held can be claimed at once.

#include <csignal>
#include <random>

#include "process/bed.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

void check_all_claimable(Bed& bed, int count, int attempts) {
  CHECK(bed.left() == count);
  CHECK(bed.claimable() == count);
  CHECK(bed.sql.number("select count(*) from pgforeman.message where attempt = " +
                       std::to_string(attempts)) == count);
}

/// TERM while a handler holds, which goes on only then.
void drain_and_let_go(Bed& bed, Fleet& fleet) {
  fleet.signal(SIGTERM);
  REQUIRE(fleet.wait_for_log("fleet drains"));
  bed.go();
  const auto end = fleet.wait_end(10s);
  REQUIRE(end);
  CHECK(end->code == 0);
  CHECK(fleet.processes().empty());
}

}  // namespace

TEST_CASE("A fleet with a stopped child ends by that child's deadline, not by the whole grace",
          "[drain]") {
  const bool maintenance = GENERATE(false, true);
  INFO("maintenance: " << maintenance);
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}}));
  REQUIRE(fleet.wait_ready());
  // While it works at something it may take longer.
  REQUIRE(eventually([&] {
    const auto status = fleet.status();
    const auto& child = maintenance ? status.maintenance : status.slots[0];
    ::kill(child.pid, SIGSTOP);
    const auto stopped = fleet.status();
    if ((maintenance ? stopped.maintenance : stopped.slots[0]).phase == "waiting") return true;
    ::kill(child.pid, SIGCONT);
    return false;
  }));
  const double start = monotonic_now();
  fleet.signal(SIGTERM);
  const auto end = fleet.wait_end(30s);
  REQUIRE(end);
  CHECK(end->code == 0);
  // It may wait for 4 s; the default grace is 25 s.
  CHECK(monotonic_now() - start < allowed(6.0));
  const auto line = fleet.wait_for_log("child killed");
  REQUIRE(line);
  CHECK((*line)["why"] == "missed its waiting deadline");
}

TEST_CASE("TERM with handlers that need a minute ends the fleet within its grace", "[drain]") {
  for (const std::string mode : {"exec", "jsonl"}) {
    INFO(mode);
    Bed bed;
    bed.send(4, R"({"do": "sleep", "ms": 60000})");
    Fleet fleet(bed.settings({{"SHUTDOWN_GRACE", "3s"}, {"HANDLER_MODE", mode}}));
    Watch watch(fleet.port());
    REQUIRE(bed.wait_for_runs(4));
    const double start = monotonic_now();
    fleet.signal(SIGTERM);
    REQUIRE(fleet.wait_for_log("fleet drains"));
    CHECK(fleet.status().state == "draining");
    CHECK(fleet.get("/livez").status == 200);
    CHECK(fleet.get("/readyz").status == 503);
    CHECK(watch.finish().problems.empty());
    const auto end = fleet.wait_end(10s);
    const double took = monotonic_now() - start;
    REQUIRE(end);
    CHECK(end->code == 0);
    CHECK(end->signal == 0);
    say("drain of 4 " + mode + " handlers that need 60 s, grace 3 s: gone after " +
        std::to_string(took) + " s");
    CHECK(took >= 2.9);
    CHECK(took <= 4.0);
    CHECK(fleet.processes().empty());
    check_all_claimable(bed, 4, 0);
  }
}

TEST_CASE("TERM lets handlers that end in time finish their messages", "[drain]") {
  Bed bed;
  bed.send(4, R"({"do": "sleep", "ms": 700})");
  Fleet fleet(bed.settings());
  REQUIRE(bed.wait_for_runs(4));
  bed.send(10);
  stop_cleanly(fleet);
  CHECK(bed.runs().size() == 4);
  check_all_claimable(bed, 10, 0);
}

TEST_CASE("TERM in the middle of a batch hands back what was not started", "[drain]") {
  Bed bed;
  bed.send(3);
  bed.send(7, R"({"do": "hold"})");
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"BATCH", "10"}}));
  REQUIRE(bed.wait_for_runs(4));
  drain_and_let_go(bed, fleet);
  CHECK(bed.runs().size() == 4);
  check_all_claimable(bed, 6, 0);
}

TEST_CASE("A drain releases all messages but one with a locked row", "[drain]") {
  Bed bed;
  bed.send(1, R"({"do": "hold"})");
  bed.send(9);
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"},
                            {"BATCH", "10"},
                            {"SHUTDOWN_GRACE", "2s"},
                            {"VISIBILITY_TIMEOUT", "60s"}}));
  REQUIRE(bed.wait_for_runs(1));
  Sql somebody(bed.conninfo);
  somebody.query("begin; select * from pgforeman.message where id = 1 for update");
  fleet.signal(SIGTERM);
  CHECK(eventually([&] { return bed.claimable() == 9; }));
  const auto end = fleet.wait_end();
  REQUIRE(end);
  CHECK(end->code == 0);
  somebody.query("commit");
  CHECK(bed.left() == 10);
  CHECK(bed.sql.number("select max(attempt + crashes) from pgforeman.message") == 0);
}

TEST_CASE("A drain rescues messages although maintenance died during it", "[drain]") {
  Bed bed;
  bed.send(4, R"({"do": "hold"})");
  Fleet fleet(bed.settings({{"SHUTDOWN_GRACE", "60s"}, {"VISIBILITY_TIMEOUT", "60s"}}));
  REQUIRE(bed.wait_for_runs(4));
  const Status before = fleet.status();
  fleet.signal(SIGTERM);
  REQUIRE(fleet.wait_for_log("fleet drains"));
  ::kill(before.maintenance.pid, SIGKILL);
  REQUIRE(fleet.wait_for_status([](const Status& s) { return s.maintenance.epoch == 2; }));
  ::kill(before.slots[0].pid, SIGKILL);
  CHECK(eventually([&] { return bed.claimable() == 1; }, 5s));
  CHECK(bed.sql.number("select count(*) from pgforeman.message where crashes = 1") == 1);
  bed.go();
  const auto end = fleet.wait_end(10s);
  REQUIRE(end);
  CHECK(end->code == 0);
  CHECK(bed.left() == 1);
  CHECK(fleet.processes().empty());
}

TEST_CASE("INT twice does not wait for handlers, TERM twice does", "[drain]") {
  Bed bed;
  bed.send(4, R"({"do": "hold"})");
  {
    Fleet fleet(bed.settings({{"SHUTDOWN_GRACE", "60s"}}));
    REQUIRE(bed.wait_for_runs(4));
    fleet.signal(SIGTERM);
    fleet.signal(SIGTERM);
    fleet.signal(SIGINT);
    REQUIRE(fleet.wait_for_log("fleet drains"));
    fleet.signal(SIGTERM);
    CHECK_FALSE(fleet.wait_end(1s));
    CHECK(fleet.log("fleet drains").size() == 1);
    const double start = monotonic_now();
    fleet.signal(SIGINT);
    const auto end = fleet.wait_end(10s);
    REQUIRE(end);
    CHECK(end->code == 0);
    say("INT twice: gone after " + std::to_string(monotonic_now() - start) + " s");
    CHECK(monotonic_now() - start < 1.5);
    CHECK(fleet.processes().empty());
  }
  check_all_claimable(bed, 4, 0);
}

TEST_CASE("QUIT ends handlers at once", "[drain]") {
  Bed bed;
  bed.send(4, R"({"do": "crowd"})");
  Fleet fleet(bed.settings({{"SHUTDOWN_GRACE", "60s"}}));
  REQUIRE(bed.wait_for_runs(4));
  const double start = monotonic_now();
  fleet.signal(SIGQUIT);
  const auto end = fleet.wait_end(10s);
  REQUIRE(end);
  CHECK(end->code == 0);
  CHECK(monotonic_now() - start < 1.5);
  CHECK(fleet.processes().empty());
  check_all_claimable(bed, 4, 0);
}

TEST_CASE("TERM at any moment of the start ends the fleet", "[drain]") {
  Bed bed;
  bed.send(100);
  double worst = 0;
  const int trials = repeated(20, 2);
  for (int i = 0; i < trials; ++i) {
    Fleet fleet(bed.settings({{"CONCURRENCY", "8"}}), Fleet::Wait::nothing);
    // From before the first fork until all of them connect. The signal is blocked from before the
    // first line of the log, and default before that.
    REQUIRE(fleet.wait_for_log("fleet starts"));
    REQUIRE(eventually([&] {
      return children_of(fleet.pid()).size() >= static_cast<std::size_t>(i % 10) || i % 10 == 9;
    }));
    const double start = monotonic_now();
    fleet.signal(SIGTERM);
    const auto end = fleet.wait_end(10s);
    REQUIRE(end);
    CHECK(end->code == 0);
    worst = std::max(worst, monotonic_now() - start);
    CHECK(fleet.processes().empty());
  }
  say("TERM while starting, " + std::to_string(trials) + " trials: gone after at most " +
      std::to_string(worst) + " s");
  CHECK(worst < 2.0);
  // All that a child had claimed was done or released, without counting an attempt.
  check_all_claimable(bed, 100 - static_cast<int>(distinct(bed.runs())), 0);
}

TEST_CASE("TERM at any microsecond around a fork is not missed, and no child survives it",
          "[drain]") {
  // 10,000 take half an hour.
  const int trials = number_from("PGFOREMAN_TEST_TERMS", repeated(40));
  std::minstd_rand random(std::random_device{}());
  Bed bed;
  double worst = 0;
  int amid_forks = 0;
  for (int i = 0; i < trials; ++i) {
    Fleet fleet(bed.settings({{"CONCURRENCY", "8"}}));
    const auto forks = [&] { return fleet.log("child forked").size(); };
    const auto first = forks();
    // Healthy ones are forked again at once: for some milliseconds it does little else.
    for (const pid_t child : children_of(fleet.pid())) ::kill(child, SIGKILL);
    const double begun = monotonic_now();
    const double wait = static_cast<double>(random() % 8000) / 1e6;
    while (monotonic_now() - begun < wait) {
    }
    fleet.signal(SIGTERM);
    const auto end = fleet.wait_end(10s);
    REQUIRE(end);
    CHECK(end->signal == 0);
    CHECK(end->code == 0);
    worst = std::max(worst, monotonic_now() - begun - wait);
    CHECK(fleet.processes().empty());
    const auto again = forks() - first;
    amid_forks += again > 0 && again < 9;
  }
  say("P10 TERM around a fork, " + std::to_string(trials) + " trials, " +
      std::to_string(amid_forks) + " of them between two forks: gone after at most " +
      std::to_string(worst) + " s");
  CHECK(worst < 5.0);
  CHECK(amid_forks > 0);
}

TEST_CASE("A drain without a database ends in time", "[drain]") {
  Fleet fleet({{"DATABASE_URL", "host=127.0.0.1 port=1 user=x dbname=x"},
               {"HANDLER", "/bin/true"},
               {"CONCURRENCY", "4"},
               {"SHUTDOWN_GRACE", "10s"}},
              Fleet::Wait::port);
  REQUIRE(fleet.wait_for_log("database session failed, will keep trying"));
  const double start = monotonic_now();
  stop_cleanly(fleet);
  CHECK(monotonic_now() - start < 2.0);
}

TEST_CASE("After TERM to the whole group maintenance releases what a killed consumer held",
          "[drain]") {
  Bed bed;
  bed.send(1, R"({"do": "hold"})");
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"SHUTDOWN_GRACE", "20s"}}));
  REQUIRE(bed.wait_for_runs(1));
  const pid_t consumer = fleet.status().slots.at(0).pid;
  for (const pid_t child : children_of(fleet.pid())) ::kill(child, SIGTERM);
  fleet.signal(SIGTERM);
  REQUIRE(fleet.wait_for_log("fleet drains"));
  ::kill(consumer, SIGKILL);
  const auto ended = fleet.wait_end();
  REQUIRE(ended.has_value());
  CHECK(bed.sql.number("select count(*) from pgforeman.message where token = 0") == 1);
}
