// /metrics, read back by a strict reader.

#include <cmath>
#include <limits>

#include "loopback.h"
#include "support/catch.h"
#include "support/prometheus_text.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

using Labels = std::map<std::string, std::string>;

}  // namespace

TEST_CASE("metrics have a series for every figure of the view", "[metrics]") {
  const auto families = parse_prometheus(render_metrics(sample_view()));
  const auto value = [&](const std::string& name, const Labels& labels = {}) {
    return value_of(families, name, labels);
  };
  CHECK(value("pgforeman_build_info", {{"version", "1.2.3"}}) == 1);
  CHECK(value("pgforeman_uptime_seconds") == 12.5);
  CHECK(value("pgforeman_live") == 1);
  CHECK(value("pgforeman_ready") == 1);
  CHECK(value("pgforeman_log_lines_dropped_total") == 9);
  CHECK(value("pgforeman_messages_total", {{"queue", "orders"}, {"outcome", "done"}}) == 300);
  CHECK(value("pgforeman_messages_total", {{"queue", "orders"}, {"outcome", "retry"}}) == 5);
  CHECK(value("pgforeman_messages_total", {{"queue", "orders"}, {"outcome", "dead"}}) == 4);
  CHECK(value("pgforeman_messages_total", {{"queue", "orders"}, {"outcome", "released"}}) == 3);
  CHECK(value("pgforeman_messages_total", {{"queue", "orders"}, {"outcome", "lost_lease"}}) == 2);
  CHECK(value("pgforeman_child_exits_total", {{"cause", "signal"}}) == 4);
  CHECK(value("pgforeman_child_exits_total", {{"cause", "exit_code"}}) == 1);
  CHECK(value("pgforeman_child_restarts_total", {{"slot", "2"}}) == 6);
  CHECK(value("pgforeman_heartbeat_age_seconds", {{"slot", "0"}}) == 0.25);
  CHECK(value("pgforeman_heartbeat_age_seconds", {{"slot", "maintenance"}}) == 0);
  CHECK(value("pgforeman_crash_looping_slots") == 0);
  CHECK(value("pgforeman_maintenance_up") == 1);
  CHECK(value("pgforeman_queue_depth", {{"queue", "orders"}, {"state", "ready"}}) == 10);
  CHECK(value("pgforeman_queue_depth", {{"queue", "orders"}, {"state", "scheduled"}}) == 20);
  CHECK(value("pgforeman_queue_depth", {{"queue", "orders"}, {"state", "running"}}) == 3);
  CHECK(value("pgforeman_queue_depth", {{"queue", "orders"}, {"state", "dead"}}) == 4);
  CHECK(value("pgforeman_queue_oldest_seconds", {{"queue", "orders"}}) == 1.5);
  CHECK(value("pgforeman_queue_counts_age_seconds", {{"queue", "orders"}}) == 0.75);
}

TEST_CASE("children are counted in every phase, also at 0", "[metrics]") {
  const auto families = parse_prometheus(render_metrics(sample_view()));
  for (int i = 0; i < kPhaseCount; ++i) {
    const auto phase = static_cast<Phase>(i);
    const double expected = phase == Phase::running ? 1 : phase == Phase::waiting ? 2 : 0;
    CHECK(value_of(families, "pgforeman_children", {{"phase", std::string(to_string(phase))}}) ==
          expected);
  }
}

TEST_CASE("the histogram's buckets are cumulative and end at +Inf", "[metrics]") {
  const auto families = parse_prometheus(render_metrics(sample_view()));
  const auto bucket = [&](const char* le) {
    return value_of(families, "pgforeman_handler_seconds_bucket",
                    {{"queue", "orders"}, {"le", le}});
  };
  CHECK(bucket("0.001") == 100);
  CHECK(bucket("0.0025") == 100);
  CHECK(bucket("300") == 100);
  CHECK(bucket("3600") == 102);
  CHECK(bucket("+Inf") == 103);
  CHECK(value_of(families, "pgforeman_handler_seconds_sum", {{"queue", "orders"}}) == 4000.25);
  CHECK(value_of(families, "pgforeman_handler_seconds_count", {{"queue", "orders"}}) == 103);
  CHECK(families.at("pgforeman_handler_seconds").samples.size() ==
        kHandlerSecondsBounds.size() + 3);
}

TEST_CASE("no queue series before the first count, no heartbeat without a process", "[metrics]") {
  FleetView view = sample_view();
  view.counts.reset();
  view.slots[1].pid = 0;
  view.slots[1].phase = Phase::empty;
  const auto families = parse_prometheus(render_metrics(view));
  CHECK(families.count("pgforeman_queue_depth") == 0);
  CHECK(families.count("pgforeman_queue_oldest_seconds") == 0);
  CHECK(families.at("pgforeman_heartbeat_age_seconds").samples.size() == 3);
  CHECK(value_of(families, "pgforeman_children", {{"phase", "empty"}}) == 1);
}

TEST_CASE("an empty view, and one of odd contents, is still valid", "[metrics]") {
  CHECK_NOTHROW(parse_prometheus(render_metrics(FleetView{})));

  FleetView odd = sample_view();
  odd.version = "1\"2\\3\n4\xFF";
  odd.queue = "q\"\\\n\xC3(";
  odd.uptime_seconds = std::numeric_limits<double>::quiet_NaN();
  odd.handler_seconds_sum = -std::numeric_limits<double>::infinity();
  odd.slots[0].heartbeat_age_seconds = std::numeric_limits<double>::infinity();
  odd.slots[1].heartbeat_age_seconds = -5;
  odd.slots[2].phase = static_cast<Phase>(200);
  odd.exits_by_cause["\xF0\x9F odd"] = 3;
  odd.counts = QueueView{-1,  std::numeric_limits<std::int64_t>::max(), 0,
                         0,   std::numeric_limits<double>::quiet_NaN(), -1,
                         true};
  odd.messages.done = std::numeric_limits<std::uint64_t>::max();
  const auto families = parse_prometheus(render_metrics(odd));
  CHECK(value_of(families, "pgforeman_uptime_seconds") == 0);
  const auto& build = families.at("pgforeman_build_info").samples.at(0);
  CHECK(build.labels.at("version") == "1\"2\\3\n4\xEF\xBF\xBD");
}

TEST_CASE("large counters keep every digit", "[metrics]") {
  FleetView view = sample_view();
  view.messages.done = 1'234'567'890'123;
  const std::string text = render_metrics(view);
  CHECK(text.find("1234567890123\n") != std::string::npos);
}
