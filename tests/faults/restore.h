#pragma once
// A database that is set back to a dump of the queue while fleets work on it.

#include <string>

#include "faults/books.h"
#include "support/postgres.h"

namespace pgforeman::test {

class Backup {
 public:
  /// Dumps the queue's schema. Throws std::runtime_error when that fails.
  Backup(const ThrowawayPostgres& server, const std::string& database);

  /// In one transaction, so that no session sees half of it. public.gone (see records.h) forgets
  /// what is in the queue again. Throws std::runtime_error when it is not possible at the moment,
  /// and again for a second without a try.
  Restore restore();

 private:
  const ThrowawayPostgres& server_;
  std::string database_, dump_, script_;
  double next_try_ = 0;
};

}  // namespace pgforeman::test
