#pragma once
// Restores a dump of the queue while fleets work on it.

#include <string>

#include "faults/books.h"
#include "support/postgres.h"

namespace pgforeman::test {

class Backup {
 public:
  /// Dumps the queue's schema. Throws std::runtime_error when that fails.
  Backup(const ThrowawayPostgres& server, const std::string& database);

  /// Restores the dump in one transaction, so that no session sees half of it. Deletes restored and
  /// lost messages from public.gone (see records.h). Throws std::runtime_error if it fails, and
  /// without a try if the last one began less than a second ago.
  Restore restore();

 private:
  const ThrowawayPostgres& server_;
  std::string database_, dump_, script_;
  double next_try_ = 0;
};

}  // namespace pgforeman::test
