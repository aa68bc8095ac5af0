#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "supervisor/endpoint.h"
#include "text/utf8.h"

namespace pgforeman {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

// Makes the value UTF-8, as the format requires; the serializer escapes but does not check.
ClientMetric::Label label(std::string name, std::string_view value) {
  return {std::move(name), to_valid_utf8(value)};
}

/// Returns 0 instead of NaN and infinity: one such sample would spoil every sum over it.
double finite(double value) {
  return std::isfinite(value) ? value : 0.0;
}
double not_negative(double value) {
  return std::max(0.0, finite(value));
}

class Families {
 public:
  void begin(MetricType type, std::string name, std::string help) {
    families_.push_back({std::move(name), std::move(help), type, {}});
  }

  /// Adds a sample to the family begun last.
  void add(Labels labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    if (families_.back().type == MetricType::Counter) {
      metric.counter.value = finite(value);
    } else {
      metric.gauge.value = finite(value);
    }
    families_.back().metric.push_back(std::move(metric));
  }
  void add(Labels labels, std::uint64_t value) {
    add(std::move(labels), static_cast<double>(value));
  }

  void gauge(std::string name, std::string help, double value) {
    begin(MetricType::Gauge, std::move(name), std::move(help));
    add({}, value);
  }

  void add_histogram(Labels labels, ClientMetric::Histogram histogram) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.histogram = std::move(histogram);
    families_.back().metric.push_back(std::move(metric));
  }

  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  std::vector<MetricFamily> families_;
};

std::string slot_name(const SlotView& slot) {
  return slot.slot < 0 ? "maintenance" : std::to_string(slot.slot);
}

template <typename Visit>
void for_each_child(const FleetView& view, Visit visit) {
  for (const SlotView& slot : view.slots) visit(slot);
  visit(view.maintenance);
}

void add_fleet(Families& families, const FleetView& view) {
  families.begin(MetricType::Gauge, "pgforeman_build_info", "Always 1; the version is a label.");
  families.add({label("version", view.version)}, 1.0);
  families.gauge("pgforeman_uptime_seconds", "Seconds since the supervisor started.",
                 not_negative(view.uptime_seconds));
  families.gauge("pgforeman_live", "1 when /livez answers 200, else 0.", view.live ? 1.0 : 0.0);
  families.gauge("pgforeman_ready", "1 when /readyz answers 200, else 0.", view.ready ? 1.0 : 0.0);
  families.begin(MetricType::Counter, "pgforeman_log_lines_dropped_total",
                 "Log lines lost because standard output was not read.");
  families.add({}, view.log_lines_dropped);
}

void add_children(Families& families, const FleetView& view) {
  std::array<std::uint64_t, kPhaseCount> by_phase{};
  std::uint64_t crash_looping = 0;
  for (const SlotView& slot : view.slots) {
    const auto phase = static_cast<std::size_t>(slot.phase);
    if (phase < by_phase.size()) ++by_phase[phase];
    if (slot.crash_looping) ++crash_looping;
  }
  families.begin(MetricType::Gauge, "pgforeman_children",
                 "Consumer slots by the phase of their process; empty: no process now.");
  for (std::size_t i = 0; i < by_phase.size(); ++i) {
    families.add({label("phase", to_string(static_cast<Phase>(i)))}, by_phase[i]);
  }
  families.gauge("pgforeman_crash_looping_slots",
                 "Consumer slots whose processes keep ending before they can work.",
                 static_cast<double>(crash_looping));
  families.gauge("pgforeman_maintenance_up", "1 while the maintenance process exists, else 0.",
                 view.maintenance.pid > 0 ? 1.0 : 0.0);
  families.begin(MetricType::Gauge, "pgforeman_heartbeat_age_seconds",
                 "Seconds since the slot's process last reported.");
  for_each_child(view, [&](const SlotView& slot) {
    if (slot.pid <= 0) return;
    families.add({label("slot", slot_name(slot))}, not_negative(slot.heartbeat_age_seconds));
  });
  families.begin(MetricType::Counter, "pgforeman_child_restarts_total",
                 "Processes forked into the slot to replace an ended one.");
  for_each_child(view, [&](const SlotView& slot) {
    families.add({label("slot", slot_name(slot))}, slot.restarts);
  });
  families.begin(MetricType::Counter, "pgforeman_child_exits_total",
                 "Ended processes of the fleet by cause.");
  for (const auto& [cause, count] : view.exits_by_cause) {
    families.add({label("cause", cause)}, count);
  }
}

void add_messages(Families& families, const FleetView& view) {
  const auto queue = label("queue", view.queue);
  families.begin(MetricType::Counter, "pgforeman_messages_total",
                 "Messages this fleet settled, by outcome.");
  const auto outcome = [&](std::string_view name, std::uint64_t count) {
    families.add({queue, label("outcome", name)}, count);
  };
  outcome("done", view.messages.done);
  outcome("retry", view.messages.retry);
  outcome("dead", view.messages.dead);
  outcome("released", view.messages.released);
  outcome("lost_lease", view.messages.lost_lease);

  families.begin(MetricType::Counter, "pgforeman_failures_total",
                 "Runs of messages that did not finish them, by cause.");
  for (const auto& [cause, count] : view.failures_by_cause) {
    families.add({queue, label("cause", cause)}, count);
  }

  families.begin(MetricType::Histogram, "pgforeman_handler_seconds",
                 "Seconds a handler took for one message.");
  ClientMetric::Histogram histogram;
  for (std::size_t i = 0; i < view.handler_buckets.size(); ++i) {
    histogram.sample_count += view.handler_buckets[i];
    if (i < kHandlerSecondsBounds.size()) {
      histogram.bucket.push_back({histogram.sample_count, kHandlerSecondsBounds[i]});
    }
  }
  histogram.sample_sum = not_negative(view.handler_seconds_sum);
  families.add_histogram({queue}, std::move(histogram));
}

void add_queue(Families& families, const FleetView& view) {
  if (!view.counts) return;  // no series instead of 0 until maintenance has counted
  const QueueView& counts = *view.counts;
  const auto queue = label("queue", view.queue);
  families.begin(MetricType::Gauge, "pgforeman_queue_depth",
                 "Messages in the queue by state; a lower bound if the count was capped.");
  const auto state = [&](std::string_view name, std::int64_t count) {
    families.add({queue, label("state", name)}, not_negative(static_cast<double>(count)));
  };
  state("ready", counts.ready);
  state("scheduled", counts.scheduled);
  state("running", counts.running);
  state("dead", counts.dead);
  families.begin(MetricType::Gauge, "pgforeman_queue_oldest_seconds",
                 "Age in seconds of the oldest message that could be claimed; 0 when none.");
  families.add({queue}, not_negative(counts.oldest_seconds));
  families.begin(MetricType::Gauge, "pgforeman_queue_counts_age_seconds",
                 "Seconds since the queue was counted.");
  families.add({queue}, not_negative(counts.age_seconds));
  families.begin(
      MetricType::Gauge, "pgforeman_queue_counts_capped",
      "1 if a count stopped at its limit, so that the true depth may be larger, else 0.");
  families.add({queue}, counts.capped ? 1.0 : 0.0);
}

void add_duties(Families& families, const FleetView& view) {
  const auto each = [&](auto value) {
    for (const DutyView& duty : view.duties) {
      families.add({label("queue", view.queue), label("duty", duty.name)}, value(duty));
    }
  };
  families.begin(MetricType::Gauge, "pgforeman_duty_failing_seconds",
                 "Seconds since a duty of the maintenance process fails; 0 while it works.");
  each([](const DutyView& duty) { return not_negative(duty.failing_seconds.value_or(0)); });
  families.begin(MetricType::Counter, "pgforeman_duty_failures_total",
                 "Tries of a duty of the maintenance process that failed.");
  each([](const DutyView& duty) { return duty.failures; });
  families.begin(MetricType::Counter, "pgforeman_refused_messages_total",
                 "Messages that the database refused to change, as a trigger may.");
  for (const auto& [call, count] : view.refused) {
    families.add({label("queue", view.queue), label("call", call)}, static_cast<double>(count));
  }
}

void add_handler(Families& families, const HandlerView& handler) {
  families.gauge("pgforeman_handler_not_started",
                 "1 while no start of the handler has worked since the fleet began, else 0.",
                 handler.start == "failed" ? 1.0 : 0.0);
  families.begin(MetricType::Counter, "pgforeman_handler_failed_starts_total",
                 "Starts of the handler that failed.");
  families.add({}, handler.failed_starts);
  families.gauge("pgforeman_handler_failed_runs",
                 "Runs that failed since the last one that succeeded.",
                 static_cast<double>(handler.failed_runs));
  families.gauge("pgforeman_braking",
                 "1 while every run fails and the fleet runs one message at a time, else 0.",
                 handler.braking ? 1.0 : 0.0);
}

}  // namespace

std::string render_metrics(const FleetView& view) {
  Families families;
  add_fleet(families, view);
  add_children(families, view);
  add_messages(families, view);
  add_handler(families, view.handler);
  add_queue(families, view);
  add_duties(families, view);
  return families.text();
}

}  // namespace pgforeman
