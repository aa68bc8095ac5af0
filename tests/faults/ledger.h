#pragma once
// A file in which handlers record the begin and end of each run; each line is on disk before the
// handler continues. It is outside PostgreSQL, so it can prove a loss there. See handler.cpp.

#include <cstdint>
#include <string>
#include <vector>

namespace pgforeman::test {

struct LedgerRun {
  std::int64_t id = 0;  ///< the sender's number: a restore reuses the queue's ids
  std::int64_t fence = 0;
  std::string fleet;
  double begun = 0;  ///< seconds of the monotonic clock
  double ended = 0;  ///< 0: the run was killed or still runs
  bool done = false;
  std::string process = {};  ///< the handler's process; never used twice
  std::string key = {};      ///< idempotency key; "": the handler got none
};

/// Returns runs in the order of their begin. Throws std::runtime_error for a malformed line or an
/// end without a begin. Ignores a last line without newline: its handler did not continue after it.
std::vector<LedgerRun> read_ledger(const std::string& text);

}  // namespace pgforeman::test
