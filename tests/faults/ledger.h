#pragma once
// What handlers wrote down themselves, each line on disk before they went on: when a run began, and
// that it was done. Outside PostgreSQL, so that it can convict it. See handler.cpp.

#include <cstdint>
#include <string>
#include <vector>

namespace pgforeman::test {

struct LedgerRun {
  std::int64_t id = 0;  ///< that its sender gave the message: a restore reuses the queue's
  std::int64_t fence = 0;
  std::string fleet;
  double begun = 0;  ///< seconds of the monotonic clock
  double ended = 0;  ///< 0: it was killed, or still runs
  bool done = false;
  std::string process = {};  ///< the handler's, never one twice
  std::string key = {};      ///< its idempotency key; "": the handler got none
};

/// In order of their begin. Throws std::runtime_error for a line that is none, or an end without a
/// begin. A last line without its newline does not count: its handler did not go on after it.
std::vector<LedgerRun> read_ledger(const std::string& text);

}  // namespace pgforeman::test
