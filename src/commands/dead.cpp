// pgforeman dead: looks at dead letters, puts them back, deletes them.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
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

namespace pgforeman {

namespace {

constexpr std::string_view kDeadHelp =
    "Usage: pgforeman dead list [FILTER] [--limit N] [--json]\n"
    "       pgforeman dead show ID [--json]\n"
    "       pgforeman dead retry ID... | --all | FILTER [--json]\n"
    "       pgforeman dead purge ID... | --all | FILTER [--yes] [--json]\n"
    "FILTER is --reason REASON, --error TEXT, or both.\n"
    "\n"
    "Dead letters are messages that used up their attempts, their crashes or their claims, or\n"
    "that their handler gave up.\n"
    "  list   those of the queue, newest first\n"
    "  show   one with the history of its runs, its payload and its headers\n"
    "  retry  puts them back into the queue as new ones; a message keeps its id, its fence grows\n"
    "  purge  deletes them for good; asks on a terminal, and elsewhere needs --yes\n"
    "The queue is that of --queue or PGFOREMAN_QUEUE.\n"
    "\n"
    "Exit codes:\n"
    "  0   done\n"
    "  1   there is no such dead letter, or not all of those named; nothing to list\n"
    "  64  a word of this command is wrong, or --yes is missing\n"
    "  69  the database cannot be reached, or refused\n"
    "  76  the schema is not installed, or not this version's: run `pgforeman migrate`\n"
    "  78  an option is wrong\n";

constexpr std::array kDeadFlags = {
    FlagHelp{"all", "", "retry, purge: all of the queue, in batches"},
    FlagHelp{"reason", "REASON",
             "only those that died of it: handler, max_attempts, max_crashes, max_claims"},
    FlagHelp{"error", "TEXT", "only those with this text in their last error"},
    FlagHelp{"limit", "N", "list: at most so many, 1 to 100000 (default 50)"},
    FlagHelp{"yes", "", "purge: do not ask"},
    FlagHelp{"json", "", "print JSON"}};

constexpr int kDefaultLimit = 50;
constexpr int kMaxLimit = 100'000;
constexpr int kBatch = 1000;
constexpr Millis kDeadPatience{60'000};
constexpr std::array<std::string_view, 4> kReasons = {"handler", "max_attempts", "max_crashes",
                                                      "max_claims"};

std::string ids_text(std::span<const std::int64_t> ids) {
  return fmt::format("{}", fmt::join(ids, ","));
}

std::optional<std::int64_t> parse_id(std::string_view text) {
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 1) return std::nullopt;
  return id;
}

struct Request {
  std::string action;
  std::vector<std::int64_t> ids;
  int limit = kDefaultLimit;
  bool all = false, yes = false, json = false;
  DeadFilter filter;
  bool filtered() const { return !filter.reason.empty() || !filter.error_part.empty(); }
  bool some() const { return all || filtered(); }  ///< not by ids
};

/// What is wrong with the words; empty when `request` has them.
std::string read_request(const CommandWords& words, Request& request) {
  if (words.positionals.empty()) return "what to do is missing: list, show, retry or purge";
  request.action = words.positionals[0];
  request.all = words.has("all");
  request.yes = words.has("yes");
  request.json = words.has("json");
  request.filter = {words.options.queue, words.value("reason").value_or(""),
                    words.value("error").value_or("")};
  for (const std::string& word : std::span(words.positionals).subspan(1)) {
    const auto id = parse_id(word);
    if (!id) return fmt::format("'{}' is no id: a whole number from 1", shown(word));
    request.ids.push_back(*id);
  }
  if (const auto text = words.value("limit")) {
    const auto limit = parse_id(*text);
    if (!limit || *limit > kMaxLimit) {
      return fmt::format("--limit '{}' is not valid: 1 to {}", shown(*text), kMaxLimit);
    }
    request.limit = static_cast<int>(*limit);
  }
  const bool many = request.action == "retry" || request.action == "purge";
  if (!many && request.action != "list" && request.action != "show") {
    return fmt::format("'{}' is not known: list, show, retry or purge", shown(request.action));
  }
  if (words.has("limit") && request.action != "list") return "--limit goes with list only";
  const std::string& reason = request.filter.reason;
  if (words.has("reason") &&
      std::find(kReasons.begin(), kReasons.end(), reason) == kReasons.end()) {
    return fmt::format("--reason '{}' is not known: {}", shown(reason), fmt::join(kReasons, ", "));
  }
  if (words.has("error") && request.filter.error_part.empty()) return "--error is empty";
  if (request.filtered() && request.action == "show") return "show takes no filter";
  if (request.filtered() && request.all) return "--all and a filter exclude each other";
  if (request.yes && request.action != "purge") return "--yes goes with purge only";
  if (request.all && !many) return "--all goes with retry and purge only";
  if (request.action == "list" && !request.ids.empty()) return "list takes no ids; see show";
  if (request.action == "show" && request.ids.size() != 1) return "show takes one id";
  if (many && request.some() == !request.ids.empty()) {
    return request.action + " takes ids, a filter, or --all";
  }
  return {};
}

ExitCode list(DeadLetters& letters, const Request& request) {
  const auto found = letters.list(request.limit);
  if (request.json) {
    std::string rows;
    for (const DeadLetter& letter : found) {
      rows += (rows.empty() ? "\n" : ",\n") + dead_letter_json(letter);
    }
    fmt::print("[{}]\n", rows + (rows.empty() ? "" : "\n"));
  } else if (found.empty()) {
    fmt::print("queue {} has no dead letters\n", request.filter.queue);
  } else {
    fmt::print("{}", dead_letter_table(found));
    const auto total = letters.count();
    if (total > static_cast<std::int64_t>(found.size())) {
      fmt::print("{} of {}; --limit shows more\n", found.size(), with_commas(total));
    }
  }
  return found.empty() ? ExitCode::nothing_found : ExitCode::ok;
}

ExitCode show(DeadLetters& letters, const Request& request) {
  const auto letter = letters.show(request.ids[0]);
  if (!letter) {
    complain(Command::dead,
             fmt::format("queue {} has no dead letter {}", request.filter.queue, request.ids[0]));
    return ExitCode::nothing_found;
  }
  if (request.json) {
    fmt::print("{}\n", dead_letter_json(*letter));
    return ExitCode::ok;
  }
  fmt::print("{}", dead_letter_text(*letter));
  return ExitCode::ok;
}

bool confirmed(DeadLetters& letters, const Request& request) {
  const auto count =
      request.some() ? letters.count() : static_cast<std::int64_t>(request.ids.size());
  fmt::print(stderr, "Delete {} of queue {} for good? [y/N] ", counted(count, "dead letter"),
             request.filter.queue);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

/// retry or purge of all that were dead when it began.
std::int64_t change_all(DeadLetters& letters, bool retry) {
  const std::string before = letters.now();
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  std::int64_t changed = 0;
  for (;;) {
    const auto more =
        retry ? letters.retry_before(before, kBatch) : letters.purge_before(before, kBatch);
    if (more == 0) break;
    changed += more;
    if (terminal) fmt::print(stderr, "\r{}\x1b[K", with_commas(changed));
  }
  if (terminal && changed > 0) fmt::print(stderr, "\r\x1b[K");
  return changed;
}

ExitCode change(DeadLetters& letters, const Request& request) {
  const bool retry = request.action == "retry";
  if (!retry && !request.yes && !confirmed(letters, request)) {
    fmt::print(stderr, "Nothing was deleted.\n");
    return ExitCode::nothing_found;
  }
  const std::string_view verb = retry ? "retried" : "purged";
  std::int64_t changed = 0;
  std::vector<std::int64_t> ids, missing;
  if (request.some()) {
    changed = change_all(letters, retry);
  } else {
    ids = retry ? letters.retry(request.ids) : letters.purge(request.ids);
    changed = static_cast<std::int64_t>(ids.size());
    for (const auto id : request.ids) {
      if (std::find(ids.begin(), ids.end(), id) == ids.end()) missing.push_back(id);
    }
  }
  if (request.json) {
    fmt::print("{{\"queue\":{},\"{}\":{}", json_text(request.filter.queue), verb, changed);
    if (!request.some()) {
      fmt::print(",\"ids\":[{}],\"not_found\":[{}]", ids_text(ids), ids_text(missing));
    }
    fmt::print("}}\n");
  } else {
    fmt::print("{} {}\n", verb, counted(changed, "dead letter"));
  }
  if (!missing.empty()) {
    complain(Command::dead, fmt::format("queue {} has no dead letter {}", request.filter.queue,
                                        ids_text(missing)));
  }
  return changed == 0 || !missing.empty() ? ExitCode::nothing_found : ExitCode::ok;
}

}  // namespace

ExitCode command_dead(Args args) {
  const CommandWords words = read_command_words(Command::dead, args, kDeadFlags, kDeadHelp);
  if (words.finished) return *words.finished;
  Request request;
  if (const std::string problem = read_request(words, request); !problem.empty()) {
    return wrong_usage(Command::dead, problem);
  }
  if (request.action == "purge" && !request.yes && ::isatty(STDIN_FILENO) == 0) {
    return wrong_usage(Command::dead,
                       "purge deletes for good, and there is nobody to ask: add --yes");
  }
  return with_database_errors(Command::dead, [&] {
    Connection connection(command_settings(Command::dead, words.options, kDeadPatience));
    Queue(connection, request.filter.queue).check_schema();
    DeadLetters letters(connection, request.filter);
    if (request.action == "list") return list(letters, request);
    if (request.action == "show") return show(letters, request);
    return change(letters, request);
  });
}

}  // namespace pgforeman
