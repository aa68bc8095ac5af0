#pragma once
// The two lines of the jsonl contract: the request to a handler, and its answer. Pure.

#include <string>
#include <string_view>

#include "pgforeman/message.h"
#include "pgforeman/outcome.h"
#include "system/clock.h"
#include "text/parsed.h"

namespace pgforeman {

/// Returns `text` as a JSON string, with its quotes.
std::string json_string(std::string_view text);

/// Returns the line for `message`, with its newline. Payload and headers are copied as they are,
/// because they are JSON text already. `queue_json` is the queue's name from json_string().
std::string request_line(const Message& message, std::string_view queue_json, Millis timeout);

/// Returns the same key at every run of a message, and no other message has this key, even if a
/// restored database reuses ids. It is id and microseconds of sending: "4711-1714979289123456".
std::string idempotency_key(const Message& message);

struct Answer {
  Outcome outcome;
  std::string warning;  ///< what was mended or left out; empty if nothing was
};

/// Parses the handler's `line` as the answer to message `id`, or says what is wrong with the line.
/// A readable id and status are enough: other fields are mended or left out, with a warning.
Parsed<Answer> parse_answer(std::string_view line, std::int64_t id);

/// True if the line may be a jsonl handler's answer to any message. Such a line is an object with
/// one of the three statuses; an object with `done` may hold only the keys of an answer.
bool looks_like_answer(std::string_view line);

}  // namespace pgforeman
