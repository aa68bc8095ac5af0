#pragma once
// The ledger of a consumer: its leased messages. Written before each call to the database, so after
// the consumer's death it names the running, ended and unstarted messages.
//
// Writers: its consumer; the supervisor when it gives the ledger out and signs it; maintenance when
// it renews leases and in a rescue. After the consumer's death the supervisor marks the ledger
// orphaned; maintenance settles its messages and marks it free. Lock-free; content may be torn or
// hostile: the token protects the database, and readers bound what they read.

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
#include "fleet/shared_text.h"
#include "pgforeman/outcome.h"
#include "system/clock.h"

namespace pgforeman {

inline constexpr std::size_t kMaxBatch = 1000;
/// Index of a ledger in the scoreboard; none: maintenance, which holds no messages.
enum class LedgerId : int { none = -1 };

struct LedgerEntry {
  std::atomic<std::int64_t> id;
  std::atomic<Token> token;
  std::atomic<MessageState> state;     ///< settled: the entry is empty
  std::atomic<Outcome::Kind> outcome;  ///< valid once the run has ended
  std::atomic<std::int32_t> attempt;
  std::atomic<std::int64_t> after_ms;    ///< retry: the handler's own delay; -1: none
  std::atomic<std::int64_t> started_ms;  ///< wall clock; 0: not started
  // Evidence of how the run ended.
  std::atomic<Cause> cause;
  std::atomic<std::int32_t> exit_code, signal;
  std::atomic<std::int64_t> peak_rss_kib;
  std::atomic<Token> lost_token;  ///< written by maintenance: the row no longer has this token
};

/// The process that settles a ledger's messages: none, its consumer, or (orphaned) maintenance.
enum class LedgerUse : std::uint32_t { free, owned, orphaned };

/// How a consumer ended, for the messages that it held.
struct Death {
  Cause blame = Cause::none;  ///< charged to the running message; none: not charged
  int exit_code = -1;         ///< the consumer's; -1: ended by a signal
  int signal = 0;
  std::int64_t handler_peak_rss_kib = 0;  ///< 0: not known
  std::string explain;                    ///< "consumer killed by SIGSEGV"
};

struct alignas(64) Ledger {
  std::atomic<std::int32_t> slot;  ///< of the child that has or had this ledger
  // Death, valid if orphaned, written by the supervisor; `explain` is NUL-terminated.
  std::atomic<Cause> blame;
  std::atomic<std::int32_t> exit_code, signal;
  std::atomic<std::int64_t> handler_peak_rss_kib;
  SharedText<160> explain;
  /// The handler of the running message and the end of its stderr: a ring, and how many bytes were
  /// written into it since the run began.
  std::atomic<std::int32_t> handler_pid;  ///< 0: none
  std::atomic<std::uint64_t> stderr_bytes;
  std::array<std::atomic<char>, 1024> stderr_ring;
  // Renewal; monotonic times.
  std::atomic<std::int64_t> claimed_at_ms;  ///< when the oldest leases began
  std::atomic<std::int64_t> run_until_ms;   ///< deadline of the running handler; 0: none runs
  std::atomic<std::int64_t> renewed_at_ms;  ///< when maintenance last asked to renew all
  /// The token of the open claim: this consumer holds its rows even if no answer comes.
  std::atomic<Token> claiming_token;
  /// 1: maintenance sent a settle of the messages and has no answer: each may be settled.
  std::atomic<std::uint32_t> rescue_in_doubt;
  /// The marks of the open claim.
  std::array<std::atomic<std::int64_t>, std::tuple_size_v<Marks>> claiming_marks;
  std::atomic<std::uint32_t> count;
  std::array<LedgerEntry, kMaxBatch> entries;
};

/// Writes a ledger. Fork: either.
class LedgerWriter {
 public:
  explicit LedgerWriter(Ledger& ledger) : ledger_(ledger) {}

  void begin_claim(const Claim& claim);
  /// Ends the open claim: adds its messages after those that are still held.
  void end_claim(std::span<const ClaimedMessage> messages);
  /// Call after the state's data is written: a reader of the state then sees the data too.
  void set_state(std::size_t index, MessageState state);
  /// Records the beginning of a run. No lease of the ledger is renewed after `deadline`.
  void start(std::size_t index, std::int64_t wall_ms, TimePoint deadline);
  void set_handler(std::int32_t pid) { ledger_.handler_pid.store(pid); }
  void add_stderr(std::string_view chunk);
  void finish(std::size_t index, const Outcome& outcome);
  void keep(std::span<const std::size_t> indexes);  ///< forgets all but these (ascending)

  /// Returns when maintenance last asked to renew these leases, if between the two times.
  std::optional<TimePoint> renewed(TimePoint claimed_at, TimePoint now) const;
  /// True if maintenance found that the message's lease is lost.
  bool lost(std::size_t index) const;

 private:
  Ledger& ledger_;
  std::size_t held_ = 0;          ///< private count; the shared one may be corrupted
  std::int64_t begun_at_ms_ = 0;  ///< when the open claim began
};

/// Bounded copies of the content of an orphaned ledger.
struct LedgerReading {
  struct Entry {
    std::size_t index;  ///< in the ledger
    Lease lease;
    MessageState state;
    Outcome::Kind outcome;  ///< valid once the run has ended
    int attempt;
    std::int64_t after_ms, started_ms;
    Evidence evidence;  ///< without stderr_tail
  };
  std::vector<Entry> entries;
  Claim claim;  ///< the open claim; Token::none: there is none
  bool rescue_in_doubt = false;
  Death death;
  std::string stderr_tail;  ///< of the running message's handler; any bytes
  bool empty() const { return entries.empty() && claim.token == Token::none; }
};
LedgerReading read_ledger(const Ledger& ledger);

/// Returns the leases to renew of an owned ledger: none if they are fresh (claimed after
/// `fresh_since`), or if the handler is past its deadline. Bounded, whatever the ledger contains.
std::vector<Lease> leases_to_renew(const Ledger& ledger, TimePoint fresh_since, TimePoint now);
/// Maintenance: records a renewal that was sent at `asked_at`, and marks entries that still have
/// one of the `lost` leases; skips entries with a newer lease.
void record_renewal(Ledger& ledger, TimePoint asked_at, std::span<const Lease> lost);

/// Supervisor: empties a ledger before it is given to a new child.
void clear_ledger(Ledger& ledger);
/// Maintenance: the queue knows the outcome of the message at `index`.
void record_settled(Ledger& ledger, std::size_t index);
/// Supervisor: writes how the child died. Call before marking the ledger orphaned.
void sign_ledger(Ledger& ledger, const Death& death);

}  // namespace pgforeman
