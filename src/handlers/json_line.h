#pragma once
// The two lines of the jsonl contract: the request to a handler, and its answer. Pure.

#include <string>
#include <string_view>

#include "pgforeman/message.h"
#include "pgforeman/outcome.h"
#include "system/clock.h"
#include "text/parsed.h"

namespace pgforeman {

/// `text` as a JSON string, with its quotes.
std::string json_string(std::string_view text);

/// The line for `message`, newline included. Payload and headers are pasted as they are: they are
/// JSON text already. `queue_json` is the queue's name as json_string() gives it.
std::string request_line(const Message& message, std::string_view queue_json, Millis timeout);

/// The same at every run of a message and at no other message's, also after ids were given out
/// again (a restored database): "4711-1714979289123456", id and time of sending in microseconds.
std::string idempotency_key(const Message& message);

struct Answer {
  Outcome outcome;
  std::string warning;  ///< what of it was mended or left out; empty: nothing
};

/// What the handler's `line` says about message `id`, or what is wrong with the line. One whose id
/// and status can be read is believed: other fields are mended or left out, with a warning.
Parsed<Answer> parse_answer(std::string_view line, std::int64_t id);

/// Whether a jsonl handler may have meant the line as an answer, to whichever message: an object
/// with one of the three statuses; with `done` only if it has an id or nothing that answers lack.
bool looks_like_answer(std::string_view line);

}  // namespace pgforeman
