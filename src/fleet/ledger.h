#pragma once
// The lease ledger of a child. Written before each call to the database, so after the child's death
// it names the running, ended and unstarted messages.
//
// Writers: its child; the supervisor when it gives the ledger out and signs it; maintenance when it
// renews leases and in a rescue. At the child's death the supervisor marks it orphaned; maintenance
// settles what stands there and marks it free. Lock-free; content may be torn or hostile: the token
// protects the database, and readers bound what they read.

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/claimed_message.h"
#include "fleet/message_state.h"
#include "pgforeman/outcome.h"
#include "system/clock.h"

namespace pgforeman {

inline constexpr std::size_t kMaxBatch = 1000;
/// Its place among all of them; none: of maintenance, which holds nothing.
enum class LedgerId : int { none = -1 };

struct LedgerEntry {
  std::atomic<std::int64_t> id;
  std::atomic<Token> token;
  std::atomic<MessageState> state;     ///< settled: nothing stands here
  std::atomic<Outcome::Kind> outcome;  ///< once it has ended
  std::atomic<std::int32_t> attempt;
  std::atomic<std::int64_t> after_ms;    ///< retry: the handler's own delay; -1: none
  std::atomic<std::int64_t> started_ms;  ///< wall clock; 0: not yet
  // Finished: Evidence of how.
  std::atomic<Cause> cause;
  std::atomic<std::int32_t> exit_code, signal;
  std::atomic<std::int64_t> peak_rss_kib;
  std::atomic<Token> lost_token;  ///< maintenance: it is no longer the row's
};

/// Which process may touch a ledger: none, its child, or (after that child's death) maintenance.
enum class LedgerUse : std::uint32_t { free, owned, orphaned };

/// How a child ended, for the messages it held.
struct Death {
  Cause blame = Cause::none;  ///< of the running message; none: it is not to blame
  int exit_code = -1;         ///< the child's; -1: by a signal
  int signal = 0;
  std::int64_t handler_peak_rss_kib = 0;  ///< 0: not known
  std::string explain;                    ///< "consumer killed by SIGSEGV"
};

struct alignas(64) Ledger {
  std::atomic<std::int32_t> slot;  ///< of the child that has it, or had
  // Orphaned: Death, written by the supervisor; `explain` NUL-terminated.
  std::atomic<Cause> blame;
  std::atomic<std::int32_t> exit_code, signal;
  std::atomic<std::int64_t> handler_peak_rss_kib;
  std::array<std::atomic<char>, 160> explain;
  /// The running message's handler, and what it last said on stderr: a ring, and how many bytes
  /// went into it since the message began.
  std::atomic<std::int32_t> handler_pid;  ///< 0: none
  std::atomic<std::uint64_t> stderr_bytes;
  std::array<std::atomic<char>, 1024> stderr_ring;
  // Renewal; monotonic.
  std::atomic<std::int64_t> claimed_at_ms;  ///< when the leases began
  std::atomic<std::int64_t> run_until_ms;   ///< the running handler's own deadline; 0: none runs
  std::atomic<std::int64_t> renewed_at_ms;  ///< by maintenance: when it last asked for all of them
  /// The token of a claim that is under way: its rows are ours even if its answer never came.
  std::atomic<Token> claiming_token;
  /// 1: maintenance asked to settle the messages and has no answer: each may be settled.
  std::atomic<std::uint32_t> rescue_in_doubt;
  /// The marks of that claim.
  std::array<std::atomic<std::int64_t>, std::tuple_size_v<Marks>> claiming_marks;
  std::atomic<std::uint32_t> count;
  std::array<LedgerEntry, kMaxBatch> entries;
};

/// Writes a ledger. Fork: either.
class LedgerWriter {
 public:
  explicit LedgerWriter(Ledger& ledger) : ledger_(ledger) {}

  void begin_claim(const Claim& claim);
  void end_claim(
      std::span<const ClaimedMessage> messages);  ///< these come after what is still held
  /// After what belongs to the state: a reader that sees the state sees that too.
  void set_state(std::size_t index, MessageState state);
  /// A run begins; its lease is not renewed beyond `deadline`.
  void start(std::size_t index, std::int64_t wall_ms, TimePoint deadline);
  void set_handler(std::int32_t pid) { ledger_.handler_pid.store(pid); }
  void add_stderr(std::string_view chunk);
  void finish(std::size_t index, const Outcome& outcome);
  void keep(std::span<const std::size_t> indexes);  ///< forgets all but these (ascending)

  /// When maintenance last asked to extend these leases, if it did between the two times.
  std::optional<TimePoint> renewed(TimePoint claimed_at, TimePoint now) const;
  /// Maintenance found that the message's lease is gone.
  bool lost(std::size_t index) const;

 private:
  Ledger& ledger_;
  std::size_t held_ = 0;          ///< private count; the shared one may be corrupted
  std::int64_t begun_at_ms_ = 0;  ///< the open claim
};

/// What an orphaned ledger says, bounded copies.
struct LedgerReading {
  struct Entry {
    std::size_t index;  ///< in the ledger
    Lease lease;
    MessageState state;
    Outcome::Kind outcome;  ///< once it has ended
    int attempt;
    std::int64_t after_ms, started_ms;
    Evidence evidence;  ///< without stderr_tail
  };
  std::vector<Entry> entries;
  Claim claim;  ///< under way; Token::none: none is
  bool rescue_in_doubt = false;
  Death death;
  std::string stderr_tail;  ///< of the running message's handler; any bytes
  bool empty() const { return entries.empty() && claim.token == Token::none; }
};
LedgerReading read_ledger(const Ledger& ledger);

/// The leases to extend of a ledger that is owned: nothing when they are fresh (claimed after
/// `fresh_since`), or when its handler is past its own deadline. Bounded, whatever stands there.
std::vector<Lease> leases_to_renew(const Ledger& ledger, TimePoint fresh_since, TimePoint now);
/// Maintenance: records a renewal that was sent at `asked_at`. Skips entries with a newer lease.
void record_renewal(Ledger& ledger, TimePoint asked_at, std::span<const Lease> lost);

/// Supervisor: empties a ledger that it gives to a new child.
void clear_ledger(Ledger& ledger);
/// Maintenance: the queue knows the outcome of the message at `index`.
void record_settled(Ledger& ledger, std::size_t index);
/// Supervisor: writes how the child died. Call before marking the ledger orphaned.
void sign_ledger(Ledger& ledger, const Death& death);

}  // namespace pgforeman
