#include <cmath>
#include <nlohmann/json.hpp>

#include "supervisor/endpoint.h"
#include "text/terminal_text.h"

namespace pgforeman {
namespace {

using Json = nlohmann::ordered_json;  // keeps the order of the fields

/// Returns null (unknown) for infinity and not-a-number, which JSON cannot express.
Json seconds(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json messages(const MessageCounters& counters) {
  return {{"done", counters.done},
          {"retry", counters.retry},
          {"dead", counters.dead},
          {"released", counters.released},
          {"lost_lease", counters.lost_lease}};
}

Json last_exit(const std::optional<LastExit>& exit) {
  if (!exit) return nullptr;
  return {{"cause", exit->cause},
          {"explain", exit->explain},
          {"seconds_ago", seconds(exit->seconds_ago)}};
}

Json message(const SlotView& slot) {
  if (!slot.message_id) return nullptr;
  return {{"id", *slot.message_id}, {"attempt", slot.attempt}};
}

Json slot_object(const SlotView& slot) {
  return {{"slot", slot.slot},
          {"role", slot.role},
          // Never 0: a reader may send a signal to it, and 0 is the reader's own process group.
          {"pid", slot.pid > 0 ? Json(slot.pid) : Json(nullptr)},
          {"epoch", slot.epoch},
          {"phase", to_string(slot.phase)},
          {"phase_seconds", seconds(slot.phase_seconds)},
          {"deadline_in_seconds", seconds(slot.deadline_in_seconds)},
          {"heartbeat_age_seconds", seconds(slot.heartbeat_age_seconds)},
          {"connected", slot.connected},
          {"message", message(slot)},
          {"batch", slot.batch},
          {"restarts", slot.restarts},
          {"crash_looping", slot.crash_looping},
          {"restart_in_seconds", seconds(slot.restart_in_seconds)},
          {"last_exit", last_exit(slot.last_exit)},
          {"messages", messages(slot.messages)}};
}

Json queue_counts(const std::optional<QueueView>& counts) {
  // All fields exist as null, so a reader need not check first if there are counts.
  if (!counts) {
    return {{"ready", nullptr}, {"scheduled", nullptr},      {"running", nullptr},
            {"dead", nullptr},  {"oldest_seconds", nullptr}, {"age_seconds", nullptr},
            {"capped", nullptr}};
  }
  return {{"ready", counts->ready},
          {"scheduled", counts->scheduled},
          {"running", counts->running},
          {"dead", counts->dead},
          {"oldest_seconds", seconds(counts->oldest_seconds)},
          {"age_seconds", seconds(counts->age_seconds)},
          {"capped", counts->capped}};
}

Json handler_times(const FleetView& view) {
  Json buckets = Json::array();
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < view.handler_buckets.size(); ++i) {
    const bool bounded = i < kHandlerSecondsBounds.size();
    count += view.handler_buckets[i];
    buckets.push_back(Json{{"up_to_seconds", bounded ? Json(kHandlerSecondsBounds[i]) : Json()},
                           {"count", view.handler_buckets[i]}});
  }
  return {{"count", count},
          {"sum_seconds", seconds(view.handler_seconds_sum)},
          {"buckets", std::move(buckets)}};
}

Json duties(const FleetView& view) {
  Json all = Json::array();
  for (const DutyView& duty : view.duties) {
    all.push_back(Json{
        {"duty", duty.name},
        {"failing_seconds", duty.failing_seconds ? Json(seconds(*duty.failing_seconds)) : Json()},
        {"reason", text_or_null(duty.reason)},
        {"failures", duty.failures}});
  }
  return all;
}

Json handler(const HandlerView& view) {
  return {{"start", view.start},
          {"failed_starts", view.failed_starts},
          {"start_problem", text_or_null(view.problem)},
          {"failed_runs_in_a_row", view.failed_runs},
          {"braking", view.braking},
          {"next_run_in_seconds", seconds(view.next_run_in_seconds)}};
}

}  // namespace

std::string render_status(const FleetView& view) {
  Json slots = Json::array();
  for (const SlotView& slot : view.slots) slots.push_back(slot_object(slot));
  Json exits = Json::object();
  for (const auto& [cause, count] : view.exits_by_cause) exits[cause] = count;
  Json failures = Json::object();
  for (const auto& [cause, count] : view.failures_by_cause) failures[cause] = count;
  const Json status = {{"version", view.version},
                       {"state", view.state},
                       {"queue", view.queue},
                       {"pid", view.pid},
                       {"uptime_seconds", seconds(view.uptime_seconds)},
                       {"live", view.live},
                       {"not_live_reason", text_or_null(view.not_live_reason)},
                       {"ready", view.ready},
                       {"not_ready_reason", text_or_null(view.not_ready_reason)},
                       {"queue_counts", queue_counts(view.counts)},
                       {"duties", duties(view)},
                       {"refused_messages", view.refused},
                       {"messages", messages(view.messages)},
                       {"handler", handler(view.handler)},
                       {"handler_time", handler_times(view)},
                       {"failures_by_cause", std::move(failures)},
                       {"exits_by_cause", std::move(exits)},
                       {"log_lines_dropped", view.log_lines_dropped},
                       {"slots", std::move(slots)},
                       {"maintenance", slot_object(view.maintenance)}};
  // Texts from processes or a database may be invalid UTF-8 or contain terminal control characters.
  // proves: P41
  return terminal_json(status.dump(-1, ' ', false, Json::error_handler_t::replace)) + "\n";
}

}  // namespace pgforeman
