#include "commands/dead_text.h"

#include <fmt/format.h>

#include <vector>

#include "commands/json_fields.h"
#include "commands/priority.h"
#include "commands/text_table.h"
#include "text/terminal_text.h"

namespace pgforeman {
namespace {

constexpr std::size_t kErrorWidth = 60;

/// Shortens "2026-01-02T03:04:05.123456Z" to "2026-01-02 03:04:05Z".
std::string short_time(const std::string& iso) {
  if (iso.size() < 20) return iso;
  return iso.substr(0, 10) + ' ' + iso.substr(11, 8) + 'Z';
}

std::string reason_text(const DeadLetter& letter) {
  if (letter.reason == "handler") return "its handler gave it up";
  if (letter.reason == "max_attempts") return "it used up its attempts";
  if (letter.reason == "max_crashes") return "it killed too many processes";
  if (letter.reason == "max_claims") return "it was claimed too often without a result";
  return letter.reason;
}

/// Returns "  2026-01-02 03:04:05Z  signal SIGSEGV, after 1.2 s, slot 2 of host a, at most 8 MiB".
std::string run_line(const Json& run) {
  std::string line = "  " + short_time(words(run, "started")) + "  " + words(run, "cause");
  if (const auto signal = words(run, "signal"); !signal.empty()) line += " " + signal;
  if (run.contains("exit_code")) line += fmt::format(" (exit code {})", integer(run, "exit_code"));
  if (run.contains("seconds")) line += fmt::format(", after {:.3f} s", number(run, "seconds"));
  if (run.contains("slot")) line += fmt::format(", slot {}", integer(run, "slot"));
  if (const auto host = words(run, "host"); !host.empty()) line += " of host " + host;
  if (const auto kib = number(run, "peak_rss_kib"); kib > 0) {
    line += fmt::format(", at most {:.1f} MiB", kib / 1024);
  }
  return line + "\n";
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    lines.push_back(printable(text.substr(at, end - at)));
    at = end + 1;
  }
  return lines;
}

/// Prefixes each line of a handler's text with `label`.
std::string labelled_lines(const std::string& label, const std::string& text) {
  std::string lines;
  for (const std::string& line : lines_of(text)) {
    lines += fmt::format("      {} {}\n", label, line);
  }
  return lines;
}

/// Omits a run's error if it is the letter's error, which is printed above.
std::string history_text(const DeadLetter& letter) {
  const Json runs = Json::parse(letter.history, nullptr, false);
  if (!runs.is_array() || runs.empty()) return "runs      (none on record)\n";
  std::string text = "runs\n";
  for (const Json& run : runs) {
    if (!run.is_object()) continue;
    const std::string error = raw_text(run, "error");
    text += run_line(run) + (error == letter.error ? "" : labelled_lines("error:", error)) +
            labelled_lines("stderr:", raw_text(run, "stderr"));
  }
  return text;
}

}  // namespace

std::string dead_letter_json(const DeadLetter& letter) {
  return fmt::format(
      R"({{"id":{},"queue":{},"priority":{},"attempts":{},"crashes":{},"claims":{},"reason":{},)"
      R"("error":{},"enqueued_at":{},"died_at":{},"history":{},"payload":{},"headers":{}}})",
      letter.id, json_text(letter.queue), letter.priority, letter.attempts, letter.crashes,
      letter.claims, json_text(letter.reason), json_text(letter.error),
      json_text(letter.enqueued_at), json_text(letter.died_at), terminal_json(letter.history),
      terminal_json(letter.payload), terminal_json(letter.headers));
}

std::string dead_letter_table(std::span<const DeadLetter> letters, bool with_queues) {
  std::vector<std::vector<std::string>> rows = {
      {"ID", "DIED", "PRIORITY", "ATTEMPTS", "CRASHES", "REASON", "ERROR"}};
  if (with_queues) rows[0].insert(rows[0].begin() + 1, "QUEUE");
  for (const DeadLetter& letter : letters) {
    rows.push_back({std::to_string(letter.id), short_time(letter.died_at),
                    std::string(priority_name(letter.priority)), std::to_string(letter.attempts),
                    std::to_string(letter.crashes), printable(letter.reason),
                    printable(letter.error, kErrorWidth)});
    if (with_queues) rows.back().insert(rows.back().begin() + 1, printable(letter.queue));
  }
  return text_table(rows);
}

std::string dead_letter_text(const DeadLetter& letter) {
  const std::vector<std::string> error = lines_of(letter.error);
  return fmt::format(
             "id        {}\nqueue     {}\npriority  {}\nenqueued  {}\ndied      {}\n"
             "attempts  {}\ncrashes   {}\nclaims    {}\nreason    {}: {}\nerror     {}\n",
             letter.id, printable(letter.queue), priority_name(letter.priority),
             short_time(letter.enqueued_at), short_time(letter.died_at), letter.attempts,
             letter.crashes, letter.claims, printable(letter.reason),
             printable(reason_text(letter)),
             error.empty() ? "(none given)" : fmt::format("{}", fmt::join(error, "\n          "))) +
         history_text(letter) +
         fmt::format("headers   {}\npayload   {}\n", terminal_json(letter.headers),
                     terminal_json(letter.payload));
}

}  // namespace pgforeman
