#pragma once
// The lease ledger: what a child holds, written before the database is told, so that its death
// leaves behind exactly which message was running, which were finished and which had not started.
//
// One child writes a ledger at a time. At its death the supervisor marks it orphaned; maintenance
// settles what stands in it and marks it free. Lock-free; content may be torn or hostile: the token
// protects the database, and readers bound what they read.

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pgforeman/message.h"

namespace pgforeman {

inline constexpr std::size_t kMaxBatch = 1000;

enum class LeaseState : std::uint32_t { none, held, running, done, retry, dead, released };

struct LedgerEntry {
  std::atomic<std::int64_t> id, token;
  std::atomic<LeaseState> state;
  std::atomic<std::int32_t> attempt;
  std::atomic<std::int64_t> after_ms;  ///< retry: the handler's own delay; -1: none
};

/// Who may touch a ledger: nobody, its child, or (after that child's death) maintenance.
enum class LedgerUse : std::uint32_t { free, owned, orphaned };

struct alignas(64) Ledger {
  std::atomic<std::uint32_t> blame;  ///< orphaned: 1 = the running message counts an attempt
  std::array<std::atomic<char>, 160> cause;  ///< orphaned: how the child ended, NUL-terminated
  /// The token of a claim that is under way: its rows are ours even if its answer never came.
  std::atomic<std::int64_t> claiming_token;
  std::atomic<std::uint32_t> count;
  std::array<LedgerEntry, kMaxBatch> entries;
};

/// The child's hand on its ledger. Fork: after.
class LedgerWriter {
 public:
  explicit LedgerWriter(Ledger& ledger) : ledger_(ledger) {}

  void begin_claim(std::int64_t token);
  void end_claim(std::span<const Message> messages);
  void start(std::size_t index);
  void finish(std::size_t index, const Outcome& outcome);
  void settled(std::size_t index);  ///< the database knows (or the lease was lost)
  void clear();

 private:
  Ledger& ledger_;
};

/// What an orphaned ledger says, bounded copies.
struct LedgerReading {
  struct Entry {
    Lease lease;
    LeaseState state;
    int attempt;
    std::int64_t after_ms;
  };
  std::vector<Entry> entries;
  std::int64_t claiming_token = 0;
  bool blame = false;
  std::string cause;

  bool empty() const { return entries.empty() && claiming_token == 0; }
};
LedgerReading read_ledger(const Ledger& ledger);

/// Supervisor: what a dead child's ledger must say before maintenance reads it.
void sign_ledger(Ledger& ledger, bool blame, const std::string& cause);

}  // namespace pgforeman
