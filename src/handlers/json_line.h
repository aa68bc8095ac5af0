#pragma once
// The two lines of the jsonl contract: what a handler is told, and what it answers. Pure.

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/parsed.h"
#include "pgforeman/message.h"

namespace pgforeman {

/// `text` as a JSON string, with its quotes.
std::string json_string(std::string_view text);

/// The line for `message`, newline included. Payload and headers are pasted as they are: they are
/// JSON text already. `queue_json` is the queue's name as json_string() gives it.
std::string request_line(const Message& message, std::string_view queue_json, Millis timeout);

/// What the handler's `line` says about message `id`, or what is wrong with the line.
Parsed<Outcome> parse_answer(std::string_view line, std::int64_t id);

}  // namespace pgforeman
