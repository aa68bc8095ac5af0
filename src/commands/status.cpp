#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <exception>

#include "commands/ask_fleet.h"
#include "commands/commands.h"
#include "commands/status_text.h"
#include "queue/connection.h"
#include "queue/database_error.h"
#include "queue/queue.h"

namespace pgforeman {
namespace {

constexpr std::string_view kHelp =
    "Usage: pgforeman status [--json] [--queue-only] [--timeout DURATION]\n"
    "\n"
    "Shows the fleet on this host: its state, totals, a row per slot, and the queue's depth and\n"
    "oldest age as the fleet last counted them. Asks the fleet's own endpoint (/status). Where no\n"
    "fleet answers, the queue is counted in the database, which changes nothing there.\n"
    "\n"
    "With --json one object is printed: {\"fleet\": ..., \"queue\": ...}, each null when unknown;\n"
    "`fleet` is the answer of /status, `queue.source` is \"fleet\" or \"database\".\n"
    "\n"
    "Exit codes:\n"
    "  0   the fleet or the database answered\n"
    "  64  a word of this command is wrong\n"
    "  69  neither answered\n"
    "  76  the database has no schema of pgforeman, or another version's\n"
    "  78  an option is wrong\n";

void complain(std::string_view text) {
  fmt::print(stderr, "pgforeman status: {}\n", text);
}

/// The body of /status; empty, and said why on standard error, when no fleet answers.
std::string ask_fleet(const AskWords& words) {
  try {
    HttpAnswer answer = ask_endpoint(words, "/status");
    if (answer.status != 200) {
      complain(fmt::format("the endpoint answered {}: {}", answer.status, answer.body));
      return {};
    }
    figures_of(answer.body);  // throws when it is something else that answers there
    return std::move(answer.body);
  } catch (const std::runtime_error& error) {
    complain(error.what());
    return {};
  }
}

/// Throws DatabaseError, or std::runtime_error for a DATABASE_URL_FILE that cannot be read.
QueueFigures ask_database(const Options& options) {
  ConnectionSettings settings;
  settings.conninfo = resolve_conninfo(options);
  settings.application_name = "pgforeman status";
  Connection connection(settings);
  Queue queue(connection, options.queue);
  queue.check_schema();
  const QueueCounts counts = queue.counts();
  QueueFigures figures;
  figures.name = options.queue;
  figures.ready = counts.ready;
  figures.scheduled = counts.scheduled;
  figures.running = counts.running;
  figures.dead = counts.dead;
  figures.oldest_seconds = counts.oldest_seconds;
  figures.capped = counts.capped;
  return figures;
}

void print_text(const std::string& fleet, const std::optional<QueueFigures>& queue) {
  std::string text;
  if (!fleet.empty()) text = fleet_text(fleet) + "\n";
  text += queue ? queue_text(*queue) : "queue: not counted yet\n";
  fmt::print("{}", text);
}

}  // namespace

ExitCode command_status(Args args) {
  const std::array flags = {
      CommandFlag{"json", false, "print one JSON object"},
      CommandFlag{"queue-only", false, "do not ask the fleet; count the queue in the database"},
      timeout_flag()};
  const AskWords words = read_ask_words(Command::status, "status", args, flags, kHelp);
  if (words.finished) return *words.finished;
  const std::string fleet = words.has("queue-only") ? std::string() : ask_fleet(words);
  std::optional<QueueFigures> queue;
  if (!fleet.empty()) {
    queue = figures_of(fleet);
  } else {
    try {
      queue = ask_database(words.options);
    } catch (const DatabaseError& error) {
      complain(error.what());
      return error.kind() == DatabaseError::Kind::schema ? ExitCode::schema_mismatch
                                                         : ExitCode::unavailable;
    } catch (const std::runtime_error& error) {
      complain(error.what());
      return ExitCode::unavailable;
    }
  }
  if (words.has("json")) {
    const std::string_view source = fleet.empty() ? "database" : "fleet";
    fmt::print("{}", joined_json(fleet, queue ? queue_json(*queue, source) : std::string()));
  } else {
    print_text(fleet, queue);
  }
  return ExitCode::ok;
}

}  // namespace pgforeman
