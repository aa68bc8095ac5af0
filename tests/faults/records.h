#pragma once
// What the database knows of every message it ever had.

#include <vector>

#include "faults/books.h"
#include "support/postgres.h"

namespace pgforeman::test {

/// From now on keeps of every row that leaves the queue what it knew in the end, in the table
/// public.gone. A message is known by the number ("n") in its payload.
void keep_records(Sql& sql);

/// The queue should be at rest.
std::vector<MessageEnd> message_ends(Sql& sql);

}  // namespace pgforeman::test
