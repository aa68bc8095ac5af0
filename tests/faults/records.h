#pragma once
// Records the final state of every message that the database ever had.

#include <vector>

#include "faults/books.h"
#include "support/postgres.h"

namespace pgforeman::test {

/// Copies the last state of every row that leaves the queue into the table public.gone from now on.
/// A message is identified by the number ("n") in its payload; one with a damaged payload by its
/// row in the table public.damaged.
void keep_records(Sql& sql);

/// Returns the end of every message. Call when no process changes the queue.
std::vector<MessageEnd> message_ends(Sql& sql);

}  // namespace pgforeman::test
