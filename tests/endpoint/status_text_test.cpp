// What `pgforeman status` prints, from the real answer of /status.

#include "commands/status_text.h"

#include <limits>

#include "loopback.h"
#include "support/catch.h"
#include "text/terminal_text.h"

using namespace pgforeman;
using namespace pgforeman::test;

TEST_CASE("seconds are printed with a readable unit", "[status]") {
  CHECK(human_seconds(0) == "0ms");
  CHECK(human_seconds(0.25) == "250ms");
  CHECK(human_seconds(0.9999) == "1.0s");
  CHECK(human_seconds(3.21) == "3.2s");
  CHECK(human_seconds(9.96) == "10s");
  CHECK(human_seconds(59.6) == "1m 0s");
  CHECK(human_seconds(4000) == "1h 6m");
  CHECK(human_seconds(90'000) == "1d 1h");
  CHECK(human_seconds(-2) == "-2.0s");
  CHECK(human_seconds(std::numeric_limits<double>::infinity()) == "?");
  CHECK(human_seconds(1e300).back() == 'h');
}

TEST_CASE("the fleet is a header and a row per slot", "[status]") {
  FleetView view = sample_view();
  view.messages.done = 1'234'567;
  view.ready = false;
  view.not_ready_reason = "draining";
  view.slots[2].pid = 0;
  view.slots[2].phase = Phase::empty;
  view.slots[2].restart_in_seconds = 4;
  view.slots[2].crash_looping = true;
  const std::string text = fleet_text(parse_fleet(render_status(view)));
  INFO(text);
  CHECK(
      text ==
      "fleet     running, up 13s, pid 4711, pgforeman 1.2.3\n"
      "live      yes\n"
      "ready     NO: draining\n"
      "messages  1,234,567 done, 5 retried, 4 dead, 3 released, 2 lost lease\n"
      "failures  3 retry, 2 signal\n"
      "exits     1 exit_code, 4 signal\n"
      "log       9 lines dropped: they were not read\n"
      "\n"
      "SLOT         PID   EPOCH  PHASE             DEADLINE  HEARTBEAT  DATABASE  MESSAGE         "
      "DONE  RESTARTS  LAST EXIT\n"
      "0            5000  7      running 500ms     in 30s    250ms ago  yes       42 (attempt 2)  "
      "100   6         -\n"
      "1            5001  7      waiting 500ms     in 30s    250ms ago  yes       -               "
      "100   6         killed by SIGKILL, 3.5s ago\n"
      "2            -     7      restarts in 4.0s  -         -          -         -               "
      "100   6         CRASH LOOP\n"
      "maintenance  5003  0      waiting 0ms       in 0ms    0ms ago    no        -               "
      "0     0         -\n");
}

TEST_CASE("an exit's explanation cannot move the cursor", "[status]") {
  FleetView view = sample_view();
  view.slots[1].last_exit->explain = "bad\x1b[2J\nnews\x7f";
  const std::string text = fleet_text(parse_fleet(render_status(view)));
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK_THAT(text, contains("bad [2J news "));

  view.slots[1].last_exit->explain = "a\xc2\x9b\xe2\x80\xae\x7f";
  std::string status = render_status(view);
  status.pop_back();
  CHECK(is_terminal_safe(status));
  CHECK_THAT(status, contains("a\\u009b\\u202e\\u007f"));
  CHECK(fleet_text(parse_fleet(status)).find("a\xef\xbf\xbd") != std::string::npos);
}

TEST_CASE("the queue is one line, and the figures come from the fleet's answer", "[status]") {
  const auto figures = figures_of(parse_fleet(render_status(sample_view())));
  REQUIRE(figures);
  CHECK(queue_text(*figures) ==
        "queue 'orders': 10 ready, 20 scheduled, 3 running, 4 dead; oldest ready 1.5s (counted "
        "750ms ago)\n");
  QueueFigures capped;
  capped.name = "q";
  capped.ready = 10'000;
  capped.capped = true;
  capped.oldest_seconds = 61;
  CHECK(queue_text(capped) ==
        "queue 'q': at least 10,000 ready, 0 scheduled, 0 running, 0 dead; oldest ready 1m 1s\n");
  FleetView uncounted = sample_view();
  uncounted.counts.reset();
  CHECK_FALSE(figures_of(parse_fleet(render_status(uncounted))));
}

TEST_CASE("as JSON the queue's figures say where they are from", "[status]") {
  const Json queue = queue_json(*figures_of(parse_fleet(render_status(sample_view()))), "fleet");
  CHECK(queue["name"] == "orders");
  CHECK(queue["ready"] == 10);
  CHECK(queue["source"] == "fleet");
}

TEST_CASE("status refuses a foreign answer, and prints one with missing fields", "[status]") {
  CHECK_THROWS_WITH(parse_fleet("<html>"), contains("not a fleet's status"));
  CHECK_THROWS(parse_fleet("[]"));
  CHECK_THROWS(parse_fleet("{}"));
  CHECK_NOTHROW(fleet_text(parse_fleet(R"({"slots":[]})")));
  CHECK_NOTHROW(fleet_text(parse_fleet(
      R"({"slots":[1,{},{"pid":"x","phase":7,"message":[],"last_exit":{},"messages":3}],
          "exits_by_cause":{"a":"b"},"uptime_seconds":null,"maintenance":null})")));
}
