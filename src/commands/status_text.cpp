#include "commands/status_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "commands/text_table.h"

namespace pgforeman {
namespace {

using Row = std::vector<std::string>;

std::string phase_cell(const Json& slot) {
  if (const double wait = number(slot, "restart_in_seconds"); wait > 0) {
    return "restarts in " + human_seconds(wait);
  }
  std::string phase = words(slot, "phase");
  if (phase == "empty") return "no process";
  return phase + " " + human_seconds(number(slot, "phase_seconds"));
}

std::string deadline_cell(const Json& slot) {
  const char* key = "deadline_in_seconds";
  if (!field(slot, "pid").is_number() || !field(slot, key).is_number()) return "-";
  const double left = number(slot, key);
  return left < 0 ? "overdue " + human_seconds(-left) : "in " + human_seconds(left);
}

std::string message_cell(const Json& slot) {
  const Json message = member(slot, "message");
  if (message.empty()) return "-";
  return fmt::format("{} (attempt {})", integer(message, "id"), integer(message, "attempt"));
}

std::string last_exit_cell(const Json& slot) {
  const Json exit = member(slot, "last_exit");
  if (exit.empty()) return flag(slot, "crash_looping") ? "CRASH LOOP" : "-";
  return fmt::format("{}{}, {} ago", flag(slot, "crash_looping") ? "CRASH LOOP: " : "",
                     words(exit, "explain"), human_seconds(number(exit, "seconds_ago")));
}

Row slot_row(const Json& slot) {
  const bool has_pid = field(slot, "pid").is_number();
  const std::int64_t number_of_slot = integer(slot, "slot");
  return {number_of_slot < 0 ? "maintenance" : std::to_string(number_of_slot),
          has_pid ? std::to_string(integer(slot, "pid")) : "-",
          std::to_string(integer(slot, "epoch")),
          phase_cell(slot),
          deadline_cell(slot),
          has_pid ? human_seconds(number(slot, "heartbeat_age_seconds")) + " ago" : "-",
          !has_pid                  ? "-"
          : flag(slot, "connected") ? "yes"
                                    : "no",
          message_cell(slot),
          with_commas(integer(member(slot, "messages"), "done")),
          with_commas(integer(slot, "restarts")),
          last_exit_cell(slot)};
}

std::string verdict(const Json& status, const char* key, const char* reason_key) {
  if (flag(status, key)) return "yes";
  const std::string reason = words(status, reason_key);
  return reason.empty() ? "NO" : "NO: " + reason;
}

/// Returns for example "1 exit_code, 4 signal"; "none" if every count is 0.
std::string causes_text(const Json& status, const char* key) {
  std::string text;
  const Json causes = member(status, key);
  for (const auto& cause : causes.items()) {
    const auto count = integer(causes, cause.key().c_str());
    if (count == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, printable(cause.key()));
  }
  return text.empty() ? "none" : text;
}

/// Returns the handler's problems; empty if there are none.
std::string handler_text(const Json& handler) {
  std::string text;
  if (const std::string problem = words(handler, "start_problem"); !problem.empty()) {
    text = fmt::format("NOT STARTED, {} tries: {}", with_commas(integer(handler, "failed_starts")),
                       problem);
  }
  if (flag(handler, "braking")) {
    text +=
        fmt::format("{}SLOWED DOWN: the last {} runs failed; the next one in {}",
                    text.empty() ? "" : "; ", with_commas(integer(handler, "failed_runs_in_a_row")),
                    human_seconds(number(handler, "next_run_in_seconds")));
  }
  return text;
}

std::string fleet_summary(const Json& status) {
  const Json messages = member(status, "messages");
  std::string totals;
  for (const auto& [key, label] :
       std::array<std::pair<const char*, const char*>, 5>{{{"done", "done"},
                                                           {"retry", "retried"},
                                                           {"dead", "dead"},
                                                           {"released", "released"},
                                                           {"lost_lease", "lost lease"}}}) {
    totals += fmt::format("{}{} {}", totals.empty() ? "" : ", ",
                          with_commas(integer(messages, key)), label);
  }
  std::vector<Row> rows = {
      {"fleet", fmt::format("{}, up {}, pid {}, pgforeman {}", words(status, "state"),
                            human_seconds(number(status, "uptime_seconds")), integer(status, "pid"),
                            words(status, "version"))},
      {"live", verdict(status, "live", "not_live_reason")},
      {"ready", verdict(status, "ready", "not_ready_reason")},
      {"messages", totals},
      {"failures", causes_text(status, "failures_by_cause")},
      {"exits", causes_text(status, "exits_by_cause")}};
  if (const std::string text = handler_text(member(status, "handler")); !text.empty()) {
    rows.push_back({"handler", text});
  }
  if (const auto lost = integer(status, "log_lines_dropped"); lost > 0) {
    rows.push_back({"log", with_commas(lost) + " lines dropped: they were not read"});
  }
  return text_table(rows);
}

}  // namespace

std::string human_seconds(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  if (seconds < 0) return "-" + human_seconds(-seconds);
  if (seconds < 0.9995) return fmt::format("{:.0f}ms", seconds * 1000);
  if (seconds < 9.95) return fmt::format("{:.1f}s", seconds);
  // 1e15 is more than any real time, and fits into an integer.
  const auto whole = std::llround(std::min(seconds, 1e15));
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m {}s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{}h {}m", whole / 3600, whole % 3600 / 60);
  return fmt::format("{}d {}h", whole / 86400, whole % 86400 / 3600);
}

Json parse_fleet(std::string_view text) {
  Json fleet = Json::parse(text, nullptr, false);
  if (!field(fleet, "slots").is_array()) {
    throw std::runtime_error("the answer is not a fleet's status");
  }
  return fleet;
}

std::string fleet_text(const Json& fleet) {
  std::vector<Row> rows = {{"SLOT", "PID", "EPOCH", "PHASE", "DEADLINE", "HEARTBEAT", "DATABASE",
                            "MESSAGE", "DONE", "RESTARTS", "LAST EXIT"}};
  for (const Json& slot : field(fleet, "slots")) {
    if (slot.is_object()) rows.push_back(slot_row(slot));
  }
  if (const Json maintenance = member(fleet, "maintenance"); !maintenance.empty()) {
    rows.push_back(slot_row(maintenance));
  }
  return fleet_summary(fleet) + "\n" + text_table(rows);
}

std::string queue_text(const QueueFigures& figures) {
  const std::string age =
      figures.age_seconds ? fmt::format(" (counted {} ago)", human_seconds(*figures.age_seconds))
                          : std::string();
  return fmt::format(
             "queue '{}': {}{} ready, {} scheduled, {} running, {} dead; oldest ready {}{}\n",
             figures.name, figures.capped ? "at least " : "", with_commas(figures.ready),
             with_commas(figures.scheduled), with_commas(figures.running),
             with_commas(figures.dead),
             figures.ready > 0 ? human_seconds(figures.oldest_seconds) : "-", age) +
         (figures.others.empty() ? ""
                                 : "queues with messages: " + printable(figures.others) + "\n");
}

Json queue_json(const QueueFigures& figures, std::string_view source) {
  return {{"name", figures.name},
          {"ready", figures.ready},
          {"scheduled", figures.scheduled},
          {"running", figures.running},
          {"dead", figures.dead},
          {"oldest_seconds", figures.oldest_seconds},
          {"age_seconds", figures.age_seconds.value_or(0.0)},
          {"capped", figures.capped},
          {"source", source}};
}

std::optional<QueueFigures> figures_of(const Json& fleet) {
  const Json counts = member(fleet, "queue_counts");
  if (field(counts, "ready").is_null()) return std::nullopt;
  QueueFigures figures;
  figures.name = words(fleet, "queue");
  figures.ready = integer(counts, "ready");
  figures.scheduled = integer(counts, "scheduled");
  figures.running = integer(counts, "running");
  figures.dead = integer(counts, "dead");
  figures.oldest_seconds = number(counts, "oldest_seconds");
  figures.age_seconds = number(counts, "age_seconds");
  figures.capped = flag(counts, "capped");
  return figures;
}

}  // namespace pgforeman
