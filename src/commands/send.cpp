// pgforeman send: puts messages into a queue, from its words or line by line from standard input.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands/commands.h"
#include "commands/database_command.h"
#include "commands/line_input.h"
#include "commands/priority.h"
#include "commands/text_table.h"
#include "options/table.h"
#include "options/value.h"
#include "queue/database_error.h"
#include "queue/producer.h"
#include "queue/schema_owner.h"
#include "system/clock.h"
#include "text/quantity.h"

namespace pgforeman {

namespace {

constexpr std::string_view kSendHelp = R"(Usage: pgforeman send QUEUE JSON... [FLAG...]
       pgforeman send QUEUE [-] [FLAG...]  < a JSON document per line
       pgforeman send --queue QUEUE [JSON...] [FLAG...]

Puts one message per JSON document into QUEUE, and prints the messages' ids. Of documents on the
command line all are sent, or none. Standard input is sent in batches of up to 1,000, in the order
of the lines; empty lines are skipped. The first line that is not JSON is reported, and only the
lines before it are sent. A message is stored exactly as given, with all its spaces.

Examples:
  pgforeman send mail '{"to": "ann@example.com"}' --priority high --delay 5m
  pgforeman send mail --quiet < messages.jsonl

Exit codes:
  0   all were sent
  64  an argument or flag value is wrong
  65  a document is not JSON; the error says which one
  69  the database cannot be reached, or refused
  76  the schema is not installed, or not this version's: run `pgforeman migrate`
  78  an option is wrong
)";

constexpr std::array kSendFlags = {
    CommandFlag{"priority", "PRIORITY", "urgent, high, normal or low, or 0 to 3 (default normal)"},
    CommandFlag{"delay", "DURATION", "wait before it is handled, such as 5s or 10m (default 0s)"},
    CommandFlag{"headers", "JSON", "an object that goes with each message (default {})"},
    CommandFlag{"json", "", "print one JSON object with the ids"},
    CommandFlag{"quiet", "", "print no ids"}};

constexpr std::size_t kBatchMessages = 1000;
constexpr std::size_t kBatchBytes = 4 * 1024 * 1024;
constexpr int kPauseMs = 50;  ///< a batch is sent when no input came for this long
constexpr Millis kMaxDelay{std::chrono::hours(24 * 366)};
constexpr Millis kSendPatience{60'000};

std::optional<int> parse_priority(std::string_view text) {
  for (std::size_t i = 0; i < kPriorities.size(); ++i) {
    if (text == kPriorities[i] || text == std::to_string(i)) return static_cast<int>(i);
  }
  return std::nullopt;
}

/// Takes the queue's name from the first word, unless --queue names it. If environment or config
/// file name it, a first word that is JSON and no valid name is a document. Throws WrongUsage.
void take_queue(CommandWords& words) {
  const auto given = words.given.find("QUEUE");
  const bool has_other = given != words.given.end();
  if (has_other && given->second == "--queue") return;
  if (words.positionals.empty()) {
    if (!has_other) throw WrongUsage("the queue's name is missing");
    return;
  }
  const std::string queue = words.positionals[0];
  if (has_other && queue == "-") return;
  if (const auto problem = set_value(*find_option("QUEUE"), queue, words.options)) {
    if (has_other && nlohmann::json::accept(queue)) return;
    throw WrongUsage(fmt::format("QUEUE '{}' {}", shown(queue), *problem));
  }
  words.positionals.erase(words.positionals.begin());
}

/// Parses the flags. Throws WrongUsage.
SendOptions read_flags(const CommandWords& words) {
  SendOptions options;
  if (const auto text = words.value("priority")) {
    const auto priority = parse_priority(*text);
    if (!priority) {
      throw WrongUsage(
          fmt::format("--priority '{}' is not valid: urgent (0), high (1), normal (2) or low (3)",
                      shown(*text)));
    }
    options.priority = *priority;
  }
  if (const auto text = words.value("delay")) {
    const auto delay = parse_duration(*text);
    if (!delay || *delay.value > kMaxDelay) {
      throw WrongUsage(fmt::format("--delay '{}' {}; allowed is 0s to {}", shown(*text),
                                   delay ? "is too long" : delay.problem,
                                   format_duration(kMaxDelay)));
    }
    options.delay = *delay.value;
  }
  if (const auto text = words.value("headers")) {
    if (!nlohmann::json::parse(*text, nullptr, false).is_object()) {
      throw WrongUsage(fmt::format(
          "--headers '{}' is not valid: a JSON object, such as {{\"a\": 1}}", shown(*text)));
    }
    options.headers = *text;
  }
  return options;
}

/// Returns the byte at which `text` stops being JSON, or nothing if this parser accepts `text`.
/// PostgreSQL's own message is not used, as it quotes the text.
std::string error_place(const std::string& text) {
  try {
    [[maybe_unused]] const auto json = nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    return fmt::format(" (at byte {})", error.byte);
  } catch (const nlohmann::json::exception&) {
  }
  return {};
}

/// Reports each sent batch: ids on standard output, progress on a terminal.
class Report {
 public:
  Report(const CommandWords& words, std::string queue)
      : queue_(std::move(queue)), json_(words.has("json")), quiet_(words.has("quiet")) {
    terminal_ = ::isatty(STDERR_FILENO) != 0 && (::isatty(STDOUT_FILENO) == 0 || json_ || quiet_);
  }

  void add(const std::vector<std::int64_t>& ids) {
    sent_ += static_cast<std::int64_t>(ids.size());
    for (const std::int64_t id : ids) {
      if (json_) {
        json_ids_ += fmt::format("{}{}", json_ids_.empty() ? "" : ",", id);
      } else if (!quiet_) {
        fmt::print("{}\n", id);
      }
    }
    if (!json_ && !quiet_) std::fflush(stdout);
    if (terminal_) fmt::print(stderr, "\r{} sent ({}/s)\x1b[K", with_commas(sent_), rate());
  }

  /// Call also after a failure, as readers of the output must know which messages were sent.
  void finish() const {
    if (terminal_) {
      fmt::print(stderr, "\r\x1b[K{} sent to {} in {:.1f} s\n", counted(sent_, "message"), queue_,
                 seconds());
    }
    if (json_) {
      fmt::print("{{\"queue\":\"{}\",\"sent\":{},\"ids\":[{}]}}\n", queue_, sent_,
                 quiet_ ? "" : json_ids_);
    }
  }

  std::int64_t sent() const { return sent_; }

 private:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  std::string rate() const {
    return with_commas(
        static_cast<std::int64_t>(static_cast<double>(sent_) / std::max(seconds(), 0.001)));
  }

  std::string queue_;
  bool json_, quiet_, terminal_;
  std::int64_t sent_ = 0;
  std::string json_ids_;
  TimePoint start_ = Clock::now();
};

/// JSON documents, with the line number of each for errors.
struct Batch {
  std::vector<std::string> payloads;
  std::vector<std::int64_t> numbers;
  std::size_t bytes = 0;

  void add(std::string payload, std::int64_t line_number) {
    bytes += payload.size();
    payloads.push_back(std::move(payload));
    numbers.push_back(line_number);
  }
  bool full() const { return payloads.size() >= kBatchMessages || bytes >= kBatchBytes; }
};

struct Sender {
  Producer producer;
  SendOptions options;
  Report& report;

  ExitCode send_words(std::span<const std::string> words) {
    try {
      report.add(producer.send_batch(words, options));
      return ExitCode::ok;
    } catch (const DatabaseError& error) {
      const auto bad = find_rejected(error, words);
      if (!bad) throw;
      complain(Command::send, fmt::format("JSON number {}: {}{}; nothing was sent", bad->index + 1,
                                          bad->why, error_place(words[bad->index])));
      return ExitCode::bad_data;
    }
  }

  ExitCode send_lines(LineInput& input) {
    std::int64_t number = 0;
    for (bool more = true; more;) {
      Batch batch;
      std::string trouble;
      try {
        more = read(input, batch, number);
      } catch (const std::runtime_error& error) {  // a line is too long, or reading failed
        trouble = error.what();
      }
      if (!batch.payloads.empty() && !send(batch)) return ExitCode::bad_data;
      if (!trouble.empty()) {
        complain(Command::send, fmt::format("line {}: {}; it and what follows it were not sent",
                                            number + 1, trouble));
        return ExitCode::bad_data;
      }
    }
    return ExitCode::ok;
  }

 private:
  /// Adds lines until the batch is full or the input pauses. False at the end of input.
  static bool read(LineInput& input, Batch& batch, std::int64_t& number) {
    while (!batch.full() && (batch.payloads.empty() || input.ready(kPauseMs))) {
      auto line = input.next();
      if (!line) return false;
      ++number;
      if (line->find_first_not_of(" \t") == std::string::npos) continue;
      batch.add(std::move(*line), number);
    }
    return true;
  }

  std::optional<Producer::Rejected> find_rejected(const DatabaseError& error,
                                                  std::span<const std::string> payloads) {
    if (error.kind() != DatabaseError::Kind::rejected) return std::nullopt;
    return producer.find_rejected(payloads);
  }

  /// Sends the batch. False if a line is not JSON; the lines before it were sent.
  bool send(const Batch& batch) {
    try {
      report.add(producer.send_batch(batch.payloads, options));
      return true;
    } catch (const DatabaseError& error) {
      const auto bad = find_rejected(error, batch.payloads);
      if (!bad) {
        if (error.kind() != DatabaseError::Kind::connection) throw;
        throw DatabaseError(error.kind(),
                            fmt::format("{}; whether lines {} to {} were sent is not known",
                                        error.what(), batch.numbers.front(), batch.numbers.back()));
      }
      report.add(producer.send_batch(std::span(batch.payloads).first(bad->index), options));
      complain(Command::send, fmt::format("line {}: {}{}; it and what follows it were not sent",
                                          batch.numbers[bad->index], bad->why,
                                          error_place(batch.payloads[bad->index])));
      return false;
    }
  }
};

ExitCode send_all(const CommandWords& words, const SendOptions& options, Report& report) {
  Connection connection(command_settings(words, kSendPatience));
  check_owner_for_superuser(connection);
  Sender sender{Producer(connection, words.options.queue), options, report};
  const std::span documents(words.positionals);
  if (!documents.empty() && documents[0] != "-") return sender.send_words(documents);
  LineInput input(STDIN_FILENO);
  try {
    return sender.send_lines(input);
  } catch (const DatabaseError&) {
    throw;
  } catch (const std::runtime_error& error) {  // writing to standard output failed
    complain(Command::send, error.what());
    return ExitCode::bad_data;
  }
}

ExitCode run_send(CommandWords& words) {
  take_queue(words);
  if (words.positionals.size() > 1 && words.positionals[0] == "-") {
    throw WrongUsage("'-' (standard input) and JSON words exclude each other");
  }
  const SendOptions options = read_flags(words);
  Report report(words, words.options.queue);
  const ExitCode code =
      with_database_errors(Command::send, [&] { return send_all(words, options, report); });
  report.finish();
  if (code != ExitCode::ok && report.sent() > 0) {
    complain(Command::send, fmt::format("{} sent before that", counted(report.sent(), "message")));
  }
  return code;
}

}  // namespace

ExitCode command_send(Args args) {
  return run_command(Command::send, args, kSendFlags, kSendHelp, run_send);
}

}  // namespace pgforeman
