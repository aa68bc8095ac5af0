// pgforeman dead: lists and shows dead letters, puts them back, deletes them.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>

#include "commands/commands.h"
#include "commands/database_command.h"
#include "commands/dead_text.h"
#include "commands/json_fields.h"
#include "commands/text_table.h"
#include "options/value.h"
#include "queue/database_error.h"
#include "queue/dead_letters.h"
#include "queue/queue.h"
#include "queue/queue_names.h"
#include "text/quantity.h"

namespace pgforeman {

namespace {

constexpr std::string_view kDeadHelp = R"(Usage: pgforeman dead list [FILTER] [--limit N] [--json]
       pgforeman dead show ID [--json]
       pgforeman dead retry ID... | --all | FILTER [--json]
       pgforeman dead purge ID... | --all | FILTER [--yes] [--json]
FILTER is --reason REASON, --error TEXT, or both.

Dead letters are messages that used up their attempts, crashes or claims, or for which the
handler answered `dead`.
  list   lists them, newest first; --json prints them in full, as show does
  show   prints one with the history of its runs, its payload and its headers
  retry  puts them back into the queue as new ones; each keeps its id, and its fence grows
  purge  deletes them for good; asks first on a terminal, needs --yes elsewhere
--queue or PGFOREMAN_QUEUE names the queue. Without either, list and IDs refer to all queues,
but retry and purge with --all or FILTER refer to the queue `default`.
After a restored backup or a failover several dead letters may have the same id: ID means all
of them. A letter is retried under a new id if another message has its id by now.

Exit codes:
  0   done
  1   no dead letter or not every ID was found, or the purge was not confirmed
  64  an argument or flag value is wrong, or --yes is missing
  69  the database cannot be reached, or refused
  76  the schema is not installed, or not this version's: run `pgforeman migrate`
  78  an option is wrong
)";

constexpr std::array kDeadFlags = {
    CommandFlag{"all", "", "retry, purge: all dead letters of the queue, in batches"},
    CommandFlag{"reason", "REASON",
                "only those with this reason: handler, max_attempts, max_crashes, max_claims"},
    CommandFlag{"error", "TEXT", "only those with this text in their last error"},
    CommandFlag{"limit", "N", "list: maximal number, 1 to 100000 (default 50)"},
    CommandFlag{"yes", "", "purge: do not ask"},
    CommandFlag{"json", "", "print JSON"}};

constexpr int kDefaultLimit = 50;
constexpr int kMaxLimit = 100'000;
constexpr int kBatch = 1000;
constexpr Millis kDeadPatience{60'000};
constexpr std::array<std::string_view, 4> kReasons = {"handler", "max_attempts", "max_crashes",
                                                      "max_claims"};

std::optional<std::int64_t> parse_id(std::string_view text) {
  const auto id = parse_number(text);
  return id && *id >= 1 ? id : std::nullopt;
}

struct Request {
  std::string action;
  std::vector<std::int64_t> ids;
  int limit = kDefaultLimit;
  bool all = false, yes = false, json = false;
  DeadFilter filter;
  bool filtered() const { return !filter.reason.empty() || !filter.error_part.empty(); }
  bool is_bulk() const { return all || filtered(); }  ///< selected without ids
};

std::string queue_has(const Request& request) {
  return request.filter.queue.empty() ? "no queue has" : "queue " + request.filter.queue + " has";
}

std::string none_found(const Request& request, std::string_view ids) {
  return request.filter.queue.empty()
             ? fmt::format("no queue has a dead letter {}", ids)
             : fmt::format("queue {} has no dead letter {}", request.filter.queue, ids);
}

/// Parses the words of the command. Throws WrongUsage.
Request read_request(const CommandWords& words) {
  const auto refuse_if = [](bool wrong, std::string_view problem) {
    if (wrong) throw WrongUsage(std::string(problem));
  };
  refuse_if(words.positionals.empty(), "what to do is missing: list, show, retry or purge");
  Request request;
  request.action = words.positionals[0];
  request.all = words.has("all");
  request.yes = words.has("yes");
  request.json = words.has("json");
  request.filter = {words.options.queue, words.value("reason").value_or(""),
                    words.value("error").value_or("")};
  for (const std::string& word : std::span(words.positionals).subspan(1)) {
    const auto id = parse_id(word);
    refuse_if(!id, fmt::format("'{}' is not an id: a whole number from 1", shown(word)));
    request.ids.push_back(*id);
  }
  if (const auto text = words.value("limit")) {
    const auto limit = parse_id(*text);
    refuse_if(!limit || *limit > kMaxLimit,
              fmt::format("--limit '{}' is not valid: 1 to {}", shown(*text), kMaxLimit));
    request.limit = static_cast<int>(*limit);
  }
  const bool changes_letters = request.action == "retry" || request.action == "purge";
  refuse_if(!changes_letters && request.action != "list" && request.action != "show",
            fmt::format("'{}' is not known: list, show, retry or purge", shown(request.action)));
  refuse_if(words.has("limit") && request.action != "list", "--limit goes with list only");
  const std::string& reason = request.filter.reason;
  refuse_if(
      words.has("reason") && std::find(kReasons.begin(), kReasons.end(), reason) == kReasons.end(),
      fmt::format("--reason '{}' is not known: {}", shown(reason), fmt::join(kReasons, ", ")));
  refuse_if(words.has("error") && request.filter.error_part.empty(), "--error is empty");
  refuse_if(request.filtered() && request.action == "show", "show takes no filter");
  refuse_if(request.filtered() && request.all, "--all and a filter exclude each other");
  refuse_if(request.yes && request.action != "purge", "--yes goes with purge only");
  refuse_if(request.all && !changes_letters, "--all goes with retry and purge only");
  refuse_if(request.action == "list" && !request.ids.empty(), "list takes no ids; see show");
  refuse_if(request.action == "show" && request.ids.size() != 1, "show takes one id");
  refuse_if(changes_letters && request.is_bulk() == !request.ids.empty(),
            request.action + " takes ids, a filter, or --all");
  refuse_if(request.action == "purge" && !request.yes && ::isatty(STDIN_FILENO) == 0,
            "purge deletes for good, and there is no terminal to ask: add --yes");
  // Without a named queue, --all and filters stay in the default queue, as purge deletes.
  const bool named = words.given.find("QUEUE") != words.given.end();
  if (!named && !(changes_letters && request.is_bulk())) request.filter.queue.clear();
  return request;
}

/// Names queues with dead letters; printed if a queue has none, as its name may be mistyped.
std::string queues_hint(Connection& connection) {
  const auto queues = queues_in_use(connection, kMostNamedQueues);
  const std::string names = names_with_counts(queues, &QueueSize::dead);
  return names.empty() ? names : "; queues with dead letters: " + names;
}

void list_nothing(Connection& connection, const Request& request) {
  if (request.json) {
    fmt::print("[]\n");
  } else if (request.filtered()) {
    fmt::print("{} no such dead letters\n", queue_has(request));
  } else if (request.filter.queue.empty()) {
    fmt::print("no queue has dead letters\n");
  } else {
    fmt::print("{} no dead letters{}\n", queue_has(request), queues_hint(connection));
  }
}

/// Reads and prints one letter at a time, as payloads may be large.
void list_in_full(DeadLetters& letters, std::span<const DeadLetter> listed) {
  std::string_view before = "[\n";
  for (const DeadLetter& each : listed) {
    const auto letter = letters.read_letter(each);
    if (!letter) continue;
    fmt::print("{}{}", before, dead_letter_json(*letter));
    before = ",\n";
  }
  fmt::print("{}", before == "[\n" ? "[]\n" : "\n]\n");
}

ExitCode list(Connection& connection, DeadLetters& letters, const Request& request) {
  const auto found = letters.list(request.limit);
  if (found.empty()) {
    list_nothing(connection, request);
    return ExitCode::nothing_found;
  }
  if (request.json) {
    list_in_full(letters, found);
    return ExitCode::ok;
  }
  const bool all_queues = request.filter.queue.empty();
  fmt::print("{}", dead_letter_table(found, all_queues));
  const auto total = letters.count();
  if (total > static_cast<std::int64_t>(found.size())) {
    fmt::print("{} of {}; --limit shows more\n", found.size(), with_commas(total));
  }
  if (all_queues) fmt::print("of all queues; --queue NAME shows those of one\n");
  return ExitCode::ok;
}

ExitCode show(DeadLetters& letters, const Request& request) {
  std::size_t shown_letters = 0;
  const auto listed = letters.with_id(request.ids[0]);
  for (const DeadLetter& each : listed) {
    const auto letter = letters.read_letter(each);
    if (!letter) continue;
    if (request.json) {
      fmt::print("{}\n", dead_letter_json(*letter));
    } else {
      fmt::print("{}{}", shown_letters > 0 ? "\n" : "", dead_letter_text(*letter));
    }
    ++shown_letters;
  }
  if (shown_letters > 0) return ExitCode::ok;
  complain(Command::dead, none_found(request, fmt::format("{}", request.ids[0])));
  return ExitCode::nothing_found;
}

bool confirmed(DeadLetters& letters, const Request& request) {
  const auto count =
      request.is_bulk() ? letters.count() : static_cast<std::int64_t>(request.ids.size());
  const std::string& queue = request.filter.queue;
  fmt::print(stderr, "Delete {} of {} for good? [y/N] ", counted(count, "dead letter"),
             queue.empty() ? "all queues" : "queue " + queue);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

/// Retries or purges all letters that were dead at its start.
RetriedCount change_all(DeadLetters& letters, bool retry) {
  const std::string before = letters.now();
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  RetriedCount changed;
  for (;;) {
    const RetriedCount more = retry ? letters.retry_before(before, kBatch)
                                    : RetriedCount{letters.purge_before(before, kBatch), 0};
    if (more.retried == 0) break;
    changed.retried += more.retried;
    changed.renumbered += more.renumbered;
    if (terminal) fmt::print(stderr, "\r{}\x1b[K", with_commas(changed.retried));
  }
  if (terminal && changed.retried > 0) fmt::print(stderr, "\r\x1b[K");
  return changed;
}

/// Result of retry or purge.
struct Changed {
  RetriedCount count;
  std::vector<std::int64_t> ids, missing;
  std::vector<RetriedLetter> renumbered;  ///< empty for --all and filters
};

Changed change_ids(DeadLetters& letters, const Request& request, bool retry) {
  Changed changed;
  if (retry) {
    for (const RetriedLetter& letter : letters.retry(request.ids)) {
      changed.ids.push_back(letter.id);
      if (letter.id != letter.new_id) changed.renumbered.push_back(letter);
    }
  } else {
    changed.ids = letters.purge(request.ids);
  }
  for (const auto id : request.ids) {
    const auto found = std::find(changed.ids.begin(), changed.ids.end(), id);
    if (found == changed.ids.end()) changed.missing.push_back(id);
  }
  changed.count = {static_cast<std::int64_t>(changed.ids.size()),
                   static_cast<std::int64_t>(changed.renumbered.size())};
  return changed;
}

Json change_json(const Changed& changed, const Request& request, bool retry) {
  const std::string& queue = request.filter.queue;
  Json json = {{"queue", queue.empty() ? Json() : Json(queue)},
               {retry ? "retried" : "purged", changed.count.retried}};
  if (retry) json["renumbered"] = changed.count.renumbered;
  if (request.is_bulk()) return json;
  json["ids"] = changed.ids;
  json["not_found"] = changed.missing;
  if (!retry) return json;
  Json& pairs = json["new_ids"] = Json::array();
  for (const RetriedLetter& letter : changed.renumbered) {
    pairs.push_back({{"id", letter.id}, {"new_id", letter.new_id}});
  }
  return json;
}

void print_change(const Changed& changed, bool retry) {
  fmt::print("{} {}\n", retry ? "retried" : "purged",
             counted(changed.count.retried, "dead letter"));
  if (changed.count.renumbered == 0) return;
  fmt::print("{} of them under new ids, because other messages have theirs by now\n",
             with_commas(changed.count.renumbered));
  for (const RetriedLetter& letter : changed.renumbered) {
    fmt::print("{} is now {}\n", letter.id, letter.new_id);
  }
}

ExitCode change(DeadLetters& letters, const Request& request) {
  const bool retry = request.action == "retry";
  if (!retry && !request.yes && !confirmed(letters, request)) {
    fmt::print(stderr, "Nothing was deleted.\n");
    return ExitCode::nothing_found;
  }
  Changed changed;
  if (request.is_bulk()) {
    changed.count = change_all(letters, retry);
  } else {
    changed = change_ids(letters, request, retry);
  }
  if (request.json) {
    fmt::print("{}\n", safe_dump(change_json(changed, request, retry)));
  } else {
    print_change(changed, retry);
  }
  if (!changed.missing.empty()) {
    complain(Command::dead,
             none_found(request, fmt::format("{}", fmt::join(changed.missing, ","))));
  }
  return changed.count.retried == 0 || !changed.missing.empty() ? ExitCode::nothing_found
                                                                : ExitCode::ok;
}

ExitCode run_dead(const CommandWords& words) {
  const Request request = read_request(words);
  Connection connection(command_settings(words, kDeadPatience));
  Queue(connection, words.options.queue).check_schema();
  DeadLetters letters(connection, request.filter);
  if (request.action == "list") return list(connection, letters, request);
  if (request.action == "show") return show(letters, request);
  return change(letters, request);
}

}  // namespace

ExitCode command_dead(Args args) {
  return run_command(Command::dead, args, kDeadFlags, kDeadHelp, run_dead);
}

}  // namespace pgforeman
