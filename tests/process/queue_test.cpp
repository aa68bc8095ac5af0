// What a whole fleet makes of retries, dead letters and lost leases.

#include <algorithm>
#include <cmath>
#include <csignal>
#include <thread>

#include "process/bed.h"

using namespace pgforeman::test;

namespace {

/// Seconds between one run of the only message and the next.
std::vector<double> gaps(const std::vector<Run>& runs) {
  std::vector<double> all;
  for (std::size_t i = 1; i < runs.size(); ++i) all.push_back(runs[i].time - runs[i - 1].time);
  return all;
}

}  // namespace

TEST_CASE("A failing message is retried after growing delays and then a dead letter", "[queue]") {
  Bed bed;
  Fleet fleet(bed.settings({{"RETRY_BACKOFF", "200ms"},
                            {"RETRY_BACKOFF_MAX", "500ms"},
                            {"MAX_ATTEMPTS", "5"},
                            {"POLL_INTERVAL", "100ms"}}));
  bed.send(1, R"({"do": "fail", "code": 3})");
  REQUIRE(eventually([&] { return bed.dead() == 1; }, 15s));
  const auto runs = bed.runs();
  REQUIRE(runs.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) CHECK(runs[i].attempt == static_cast<int>(i) + 1);
  for (std::size_t i = 1; i < 5; ++i) CHECK(runs[i].fence > runs[i - 1].fence);
  const std::vector<double> nominal = {0.2, 0.4, 0.5, 0.5};
  double worst = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const double gap = gaps(runs)[i];
    INFO("delay " << i << ": " << gap << " s");
    CHECK(gap >= 0.8 * nominal[i]);
    CHECK(gap <= 1.2 * nominal[i] + 0.25);
    worst = std::max(worst, gap - 1.2 * nominal[i]);
  }
  say("P23 retries at most " + std::to_string(worst * 1000) + " ms beyond +20 %");
  CHECK(bed.sql.query("select reason from pgforeman.dead_message") == "max_attempts");
  CHECK(bed.sql.query("select attempt from pgforeman.dead_message") == "5");
  const auto error = bed.sql.query("select error from pgforeman.dead_message");
  INFO(error);
  CHECK(error.find("code 3") != std::string::npos);
  CHECK(error.find("it broke") != std::string::npos);
  CHECK(bed.left() == 0);
  CHECK(fleet.wait_for_status([](const Status& status) {
    return status.messages.at("retry") == 4 && status.messages.at("dead") == 1 &&
           status.messages.at("done") == 0;
  }));
  stop_cleanly(fleet);
}

TEST_CASE("A due retry starts in time with a long POLL_INTERVAL", "[queue]") {
  Bed bed;
  Fleet fleet(bed.settings({{"RETRY_BACKOFF", "300ms"}, {"POLL_INTERVAL", "60s"}}));
  bed.send(1, R"({"do": "fail", "code": 1})");
  REQUIRE(bed.wait_for_runs(3, 15s));
  const auto between = gaps(bed.runs());
  CHECK(between[0] <= 0.36 + 0.25);
  CHECK(between[1] <= 0.72 + 0.25);
  stop_cleanly(fleet);
}

TEST_CASE("The delay that a handler asks for wins", "[queue]") {
  Bed bed;
  Fleet fleet(bed.settings(
      {{"RETRY_BACKOFF", "60s"}, {"HANDLER_MODE", "jsonl"}, {"POLL_INTERVAL", "100ms"}}));
  bed.send(1, R"({"do": "after", "after": "700ms"})");
  REQUIRE(bed.wait_for_runs(3, 15s));
  for (const double gap : gaps(bed.runs())) {
    CHECK(gap >= 0.7);
    CHECK(gap <= 0.7 + 0.25);
  }
  stop_cleanly(fleet);
}

TEST_CASE("Exit codes 65 and 100 make a dead letter at once", "[queue]") {
  Bed bed;
  Fleet fleet(bed.settings());
  bed.send(1, R"({"do": "fail", "code": 65})");
  bed.send(1, R"({"do": "fail", "code": 100})");
  REQUIRE(eventually([&] { return bed.dead() == 2; }));
  CHECK(bed.runs().size() == 2);
  CHECK(bed.sql.query("select string_agg(distinct reason, ' ') from pgforeman.dead_message") ==
        "handler");
  stop_cleanly(fleet);
}

TEST_CASE("A fleet with a handler that cannot start leaves messages to another", "[queue]") {
  Bed bed;
  bed.send(50);
  Fleet broken(bed.settings({{"CONCURRENCY", "1"},
                             {"BATCH", "50"},
                             {"HANDLER_MODE", "jsonl"},
                             {"HANDLER", "sh -c 'exit 3'"}}),
               Fleet::Wait::port);
  REQUIRE(
      broken.wait_for_log("the handler keeps failing at its start, the next message is delayed"));
  Fleet sound(bed.settings({{"CONCURRENCY", "1"}}));
  CHECK(bed.wait_until_empty(10s));
  CHECK(broken.status().messages.at("dead") == 0);
  stop_cleanly(broken);
  stop_cleanly(sound);
}

TEST_CASE("Two fleets on one queue handle each message once", "[queue]") {
  Bed bed;
  Fleet first(bed.settings({{"HANDLER_MODE", "jsonl"}, {"CONCURRENCY", "2"}}));
  Fleet second(bed.settings({{"HANDLER_MODE", "jsonl"}, {"CONCURRENCY", "2"}}));
  bed.send(2000);
  REQUIRE(bed.wait_until_empty(60s));
  CHECK(bed.runs().size() == 2000);
  CHECK(distinct(bed.runs()) == 2000);
  stop_cleanly(first);
  stop_cleanly(second);
}

TEST_CASE("A fleet sets a sequence of ids that is behind forward, and sends go on", "[queue]") {
  Bed bed;
  Fleet fleet(bed.settings());
  bed.send(3, R"({"do": "fail", "code": 65})");
  REQUIRE(eventually([&] { return bed.dead() == 3; }));
  bed.send(1, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(4));
  bed.sql.query("select setval('pgforeman.message_id_seq', 1, false)");
  bed.send(3, R"({"do": "fail", "code": 65})");  // with the ids of dead letters
  const auto line = fleet.wait_for_log("message ids would repeat, the sequence is set forward");
  REQUIRE(line);
  CHECK(std::stoll((*line)["to"]) > 4);
  bed.send(3);
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  CHECK(bed.dead() == 6);
  CHECK(bed.runs().size() == 10);
  stop_cleanly(fleet);
}

TEST_CASE("An advisory lock that any role can take stops neither delays nor retries", "[queue]") {
  Bed bed;
  Sql stranger(bed.conninfo);
  stranger.query("select pg_advisory_lock(1885824614, hashtext('q'))");
  Fleet fleet(bed.settings({{"RETRY_BACKOFF", "100ms"}, {"POLL_INTERVAL", "100ms"}}));
  REQUIRE(
      fleet.wait_for_log("no wake-ups by notification: idle consumers poll every POLL_INTERVAL"));
  bed.sql.query("select pgforeman.send('q', '1', delay => '100 milliseconds')");
  CHECK(bed.wait_until_empty(8s));
  stop_cleanly(fleet);
}

TEST_CASE("A fleet with an empty queue names the queues that are not", "[queue]") {
  Bed bed;
  bed.sql.query("select pgforeman.send('mail', '1')");
  Fleet fleet(bed.settings({{"QUEUE", "malil"}}));
  const auto line = fleet.wait_for_log("the queue is empty, others are not");
  REQUIRE(line);
  CHECK(line->level == "info");
  CHECK((*line)["queue"] == "malil");
  CHECK((*line)["others"] == "mail (1)");
  Fleet right(bed.settings({{"QUEUE", "mail"}}));
  CHECK(eventually([&] { return bed.left() == 0; }));
  CHECK(right.log("the queue is empty, others are not").empty());
  stop_cleanly(fleet);
  stop_cleanly(right);
}

TEST_CASE("Messages that are sent after the ids were set back are found", "[queue]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}, {"HANDLER_MODE", "jsonl"}, {"BATCH", "100"}}));
  bed.send(5000);
  REQUIRE(bed.wait_until_empty(20s));
  Sql sender(bed.conninfo);
  sender.query("select setval('pgforeman.message_id_seq', 1); begin");
  sender.query("select count(pgforeman.send('q', '1')) from generate_series(1, 3000)");
  REQUIRE(fleet.wait_for_log("message ids were set back, all messages are searched"));
  sender.query("select count(pgforeman.send('q', '1')) from generate_series(1, 7000)");
  sender.query("commit");
  CHECK(bed.wait_until_empty(20s));
  CHECK(bed.runs().size() == 15'000);
  stop_cleanly(fleet);
}

TEST_CASE("A session that waits for the listeners' lock does not keep senders from notifying",
          "[queue]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}, {"POLL_INTERVAL", "60s"}}));
  REQUIRE(fleet.wait_ready());
  Sql stranger(bed.conninfo);
  std::thread waiter([&stranger] {
    try {
      stranger.query("select pg_advisory_lock(1885824614, hashtext('q'))");
    } catch (const std::exception&) {  // it is ended below
    }
  });
  REQUIRE(eventually([&] {
    return bed.sql.number(
               "select count(*) from pg_locks where locktype = 'advisory'"
               " and not granted") == 1;
  }));
  std::vector<double> took;
  for (std::size_t i = 0; i < 10; ++i) {
    const double since = wall_now();
    bed.send(1);
    CHECK(bed.wait_for_runs(i + 1));
    took.push_back(bed.runs().back().time - since);
  }
  bed.sql.query("select count(pg_terminate_backend(pid)) from pg_locks where not granted");
  waiter.join();
  CHECK(figures(took).median < allowed(0.2));
  stop_cleanly(fleet);
}
