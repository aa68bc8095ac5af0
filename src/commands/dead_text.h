#pragma once
// Dead letters as a person or a program reads them. Pure.

#include <span>
#include <string>

#include "queue/dead_letters.h"

namespace pgforeman {

/// One object. Payload, headers and history are the database's own text, not parsed again: a
/// reader's numbers may be smaller than PostgreSQL's.
std::string dead_letter_json(const DeadLetter& letter);

/// A line each, with headings.
std::string dead_letter_table(std::span<const DeadLetter> letters, bool with_queues);

/// All that is known of one, its runs included.
std::string dead_letter_text(const DeadLetter& letter);

}  // namespace pgforeman
