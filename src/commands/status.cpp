#include <fmt/format.h>

#include <array>
#include <optional>
#include <stdexcept>

#include "commands/ask_fleet.h"
#include "commands/commands.h"
#include "commands/status_text.h"
#include "commands/text_table.h"
#include "queue/connection.h"
#include "queue/database_error.h"
#include "queue/queue.h"
#include "queue/queue_names.h"

namespace pgforeman {
namespace {

constexpr std::string_view kStatusHelp =
    R"(Usage: pgforeman status [--json] [--queue-only] [--timeout DURATION]

Shows the fleet on this host: its state, totals, a row per slot, and the queue's depth and
oldest age as the fleet last counted them. Asks the fleet's own endpoint (/status). If no fleet
answers, counts the queue in the database and changes nothing there.

With --json one object is printed: {"fleet": ..., "queue": ...}, each null when unknown;
`fleet` is the answer of /status, `queue.source` is "fleet" or "database".

Exit codes:
  0   the fleet or the database answered
  64  an argument or flag value is wrong
  69  neither answered
  76  the database has no schema of pgforeman, or one of another version
  78  an option is wrong
)";

constexpr std::array kStatusFlags = {
    CommandFlag{"json", "", "print one JSON object"},
    CommandFlag{"queue-only", "", "do not ask the fleet; count the queue in the database"},
    kTimeoutFlag};

// Statement timeout; a count stops at a limit in the database, so it is fast enough.
constexpr Millis kStatusPatience{10'000};

/// Returns the answer of /status. If no fleet answers, prints why to standard error; returns null.
Json ask_fleet(const Options& options, Millis timeout) {
  try {
    const HttpAnswer answer = ask_endpoint(options, "/status", timeout);
    if (answer.status == 200) return parse_fleet(answer.body);
    complain(Command::status, fmt::format("the endpoint answered {}: {}", answer.status,
                                          printable(answer.body, 200)));
  } catch (const std::runtime_error& error) {
    complain(Command::status, error.what());
  }
  return {};
}

/// Counts the queue in the database. Throws DatabaseError.
QueueFigures ask_database(const CommandWords& words) {
  Connection connection(command_settings(words, kStatusPatience));
  Queue queue(connection, words.options.queue);
  queue.check_schema();
  QueueFigures figures{queue.counts(), words.options.queue, {}, {}};
  if (figures.ready + figures.scheduled + figures.running + figures.dead == 0) {
    const auto queues = queues_in_use(connection, kMostNamedQueues);
    figures.others = names_with_counts(queues, &QueueSize::messages);
  }
  return figures;
}

void print_answer(const Json& fleet, const std::optional<QueueFigures>& queue, bool json) {
  if (json) {
    const std::string_view source = fleet.is_null() ? "database" : "fleet";
    const Json both = {{"fleet", fleet}, {"queue", queue ? queue_json(*queue, source) : Json()}};
    fmt::print("{}\n", safe_dump(both));
    return;
  }
  if (!fleet.is_null()) fmt::print("{}\n", fleet_text(fleet));
  fmt::print("{}", queue ? queue_text(*queue) : "queue: not counted yet\n");
}

}  // namespace

ExitCode command_status(Args args) {
  return run_command(Command::status, args, kStatusFlags, kStatusHelp, [](CommandWords& words) {
    refuse_positionals(words);
    const Millis timeout = read_timeout(words);
    const Json fleet = words.has("queue-only") ? Json() : ask_fleet(words.options, timeout);
    const auto queue = fleet.is_null() ? ask_database(words) : figures_of(fleet);
    print_answer(fleet, queue, words.has("json"));
    return ExitCode::ok;
  });
}

}  // namespace pgforeman
