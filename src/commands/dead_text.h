#pragma once
// Prints dead letters for people and as JSON. Pure.

#include <span>
#include <string>

#include "queue/dead_letters.h"

namespace pgforeman {

/// Returns one JSON object. Payload, headers and history are the database's own text: a JSON parser
/// here could not keep all numbers that PostgreSQL can hold.
std::string dead_letter_json(const DeadLetter& letter);

/// Returns a table with a line per letter, and headings.
std::string dead_letter_table(std::span<const DeadLetter> letters, bool with_queues);

/// Returns all details of a letter, with its runs.
std::string dead_letter_text(const DeadLetter& letter);

}  // namespace pgforeman
