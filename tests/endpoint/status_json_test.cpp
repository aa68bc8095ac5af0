// /status, read back.

#include <limits>
#include <nlohmann/json.hpp>

#include "loopback.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;

TEST_CASE("status holds the fleet, each slot and maintenance", "[status]") {
  const nlohmann::json status = nlohmann::json::parse(render_status(sample_view()));
  CHECK(status["version"] == "1.2.3");
  CHECK(status["state"] == "running");
  CHECK(status["queue"] == "orders");
  CHECK(status["pid"] == 4711);
  CHECK(status["uptime_seconds"] == 12.5);
  CHECK(status["live"] == true);
  CHECK(status["ready"] == true);
  CHECK(status["not_live_reason"].is_null());
  CHECK(status["not_ready_reason"].is_null());
  CHECK(
      status["queue_counts"] ==
      nlohmann::json::parse(R"({"ready":10,"scheduled":20,"running":3,"dead":4,"oldest_seconds":1.5,
                        "age_seconds":0.75,"capped":false})"));
  CHECK(status["messages"] ==
        nlohmann::json::parse(R"({"done":300,"retry":5,"dead":4,"released":3,"lost_lease":2})"));
  CHECK(status["failures_by_cause"] ==
        nlohmann::json::parse(R"({"retry":3,"timeout":0,"signal":2})"));
  CHECK(status["exits_by_cause"] == nlohmann::json::parse(R"({"signal":4,"exit_code":1})"));
  CHECK(status["log_lines_dropped"] == 9);
  CHECK(status["handler_time"]["count"] == 103);
  CHECK(status["handler_time"]["sum_seconds"] == 4000.25);
  CHECK(status["handler_time"]["buckets"].size() == kHandlerSecondsBounds.size() + 1);
  CHECK(status["handler_time"]["buckets"][0]["up_to_seconds"] == 0.001);
  CHECK(status["handler_time"]["buckets"].back() ==
        nlohmann::json::parse(R"({"up_to_seconds":null,"count":1})"));
  REQUIRE(status["slots"].size() == 3);
  CHECK(status["slots"][0] ==
        nlohmann::json::parse(R"({"slot":0,"role":"consumer","pid":5000,"epoch":7,"phase":"running",
          "phase_seconds":0.5,"deadline_in_seconds":29.5,"heartbeat_age_seconds":0.25,
          "connected":true,"message":{"id":42,"attempt":2},"batch":20,"restarts":6,"crash_looping":false,
          "restart_in_seconds":0.0,"last_exit":null,
          "messages":{"done":100,"retry":0,"dead":0,"released":0,"lost_lease":0}})"));
  CHECK(status["slots"][1]["message"].is_null());
  CHECK(status["slots"][1]["last_exit"] ==
        nlohmann::json::parse(
            R"({"cause":"signal","explain":"killed by SIGKILL","seconds_ago":3.5})"));
  CHECK(status["maintenance"]["slot"] == -1);
  CHECK(status["maintenance"]["role"] == "maintenance");
}

TEST_CASE("unknown status values are null, as is the pid of a slot without a process", "[status]") {
  FleetView view = sample_view();
  view.counts.reset();
  view.live = false;
  view.not_live_reason = "why";
  view.slots[0].pid = 0;
  view.slots[0].phase = Phase::empty;
  const nlohmann::json status = nlohmann::json::parse(render_status(view));
  CHECK(status["queue_counts"]["ready"].is_null());
  CHECK(status["live"] == false);
  CHECK(status["not_live_reason"] == "why");
  CHECK(status["slots"][0]["pid"].is_null());
  CHECK(status["slots"][0]["phase"] == "empty");
}

TEST_CASE("status is one line of valid JSON for an empty view and for invalid texts", "[status]") {
  CHECK(nlohmann::json::parse(render_status(FleetView{}))["slots"].empty());

  FleetView odd = sample_view();
  odd.state = std::string("a\0b", 3);
  odd.slots[1].last_exit->explain = "\xFF\xC3( \"quoted\" \n\t\x01 \xF0\x9F";
  odd.slots[1].last_exit->seconds_ago = -1;
  odd.slots[0].phase = static_cast<Phase>(99);
  odd.slots[0].deadline_in_seconds = -3;
  odd.slots[0].phase_seconds = std::numeric_limits<double>::infinity();
  odd.slots[0].message_id = std::numeric_limits<std::int64_t>::min();
  odd.uptime_seconds = std::numeric_limits<double>::quiet_NaN();
  odd.exits_by_cause["\x80"] = 1;
  odd.exits_by_cause["\x81"] = std::numeric_limits<std::uint64_t>::max();
  odd.counts->oldest_seconds = -std::numeric_limits<double>::infinity();
  std::string text;
  REQUIRE_NOTHROW(text = render_status(odd));
  CHECK(text.find('\n') == text.size() - 1);
  const nlohmann::json status = nlohmann::json::parse(text);
  CHECK(status["state"] == std::string("a\0b", 3));
  CHECK(status["slots"][1]["last_exit"]["explain"] ==
        "\xEF\xBF\xBD\xEF\xBF\xBD( \"quoted\" \n\t\x01 \xEF\xBF\xBD");
  CHECK(status["slots"][0]["phase"] == "unknown");
  CHECK(status["slots"][0]["deadline_in_seconds"] == -3);
  CHECK(status["slots"][0]["phase_seconds"].is_null());
  CHECK(status["slots"][0]["message"]["id"] == std::numeric_limits<std::int64_t>::min());
  CHECK(status["uptime_seconds"].is_null());
  CHECK(status["queue_counts"]["oldest_seconds"].is_null());
}
