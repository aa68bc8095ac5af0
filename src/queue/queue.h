#pragma once
// The queue as the daemon and the commands see it: a thin, typed client of the SQL functions in
// schema `pgforeman`, which are named here and nowhere else. Every call is one statement, one
// transaction, and throws DatabaseError. Fork: after. See docs/queue.md for the functions.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "pgforeman/message.h"
#include "queue/connection.h"

namespace pgforeman {

/// How failures are retried; the same for every message of a queue.
struct RetryRule {
  int max_attempts = 5;
  Millis backoff{1000};  ///< after the first failed attempt; doubles each time, +-20 % jitter
  Millis backoff_max{300000};
  int max_crashes = 3;
};

/// Where and when a message ran.
struct Run {
  int slot = -1;                ///< -1: not known
  std::int64_t started_ms = 0;  ///< wall clock, since the epoch; 0: it never ran
};

struct Settlement {
  Lease lease;
  Outcome outcome;
  Run run{};
};

/// What a settlement came to, in the order they were given.
enum class Settled { done, retried, dead, released, lost_lease };

struct QueueCounts {
  std::int64_t ready = 0;      ///< claimable now
  std::int64_t scheduled = 0;  ///< delayed or waiting for a retry
  std::int64_t running = 0;    ///< under a lease
  std::int64_t dead = 0;       ///< dead letters
  double oldest_seconds = 0;   ///< age of the oldest claimable message; 0 when none
  bool capped = false;         ///< a count reached its bound: "at least"
};

struct Tick {
  std::int64_t promoted = 0;
  std::optional<Millis> next_due;  ///< until the next scheduled message is due
  QueueCounts counts;
};

/// What a look behind the marks came to.
struct Sweep {
  std::int64_t moved = 0;      ///< claimable ones that went into the redelivered lane
  std::int64_t claimable = 0;  ///< that were to go there; some may be locked, or too many for once
  std::int64_t leased = 0;
  Marks lowest{};                   ///< the lowest ids that were found; the largest number: none
  Marks reached{};                  ///< how far it looked
  std::optional<Millis> lease_end;  ///< until the first of these leases ends
  std::int64_t xid = 0;             ///< of its transaction
  std::int64_t oldest_xid = 0;      ///< that was under way; who wrote before those has ended
  std::int64_t highest = 0;         ///< id that any message ever had
};

/// What is to be done at once, and when there will be more.
struct Look {
  std::int64_t ready = 0;  ///< claimable, up to as many as were asked for
  std::optional<Millis> next_due;
};

struct Claimed {
  std::vector<Message> messages;    ///< most urgent first
  std::vector<std::int64_t> lost;  ///< ids that were to be settled, but whose token had moved on
};

/// How many a sweep moves at once, of each priority.
inline constexpr std::int64_t kSweepMoves = 1000;

class Queue {
 public:
  Queue(Connection& connection, std::string name)
      : connection_(connection), name_(std::move(name)) {}

  /// Throws DatabaseError::schema unless the installed schema is one this binary can work with.
  void check_schema();

  /// Claims up to `limit` messages for `lease` under `token` (chosen by the caller, never 0, never
  /// used before), most urgent first, behind no mark. May return fewer than there are.
  std::vector<Message> claim(int limit, std::int64_t token, Millis lease, const Marks& marks = {});

  /// The same, and before, in the same transaction, settles as done what was claimed together.
  Claimed settle_and_claim(std::span<const std::int64_t> done, std::int64_t done_token, int limit,
                           std::int64_t token, Millis lease, const Marks& marks);

  /// Ends leases. One whose token moved on changes nothing and says lost_lease.
  std::vector<Settled> settle(std::span<const Settlement> settlements, const RetryRule& rule);

  /// Extends leases to `lease` from now; returns the ids that are no longer held by their token.
  std::vector<std::int64_t> renew(std::span<const Lease> leases, Millis lease);

  /// Which of these ids' messages somebody else has locked; waits for none of them.
  std::vector<std::int64_t> locked(std::span<const std::int64_t> ids);

  /// Releases at no attempt whatever is held under `token`: for a claim whose answer was never
  /// seen. `marks` are those of that claim.
  std::int64_t release_token(std::int64_t token, const Marks& marks = {});

  /// The same after the claimer died of something that may be the message's doing: one that was
  /// claimed much more often than it was ever run counts a crash.
  std::int64_t blame_token(std::int64_t token, const RetryRule& rule, const Outcome& crash,
                           const Marks& marks = {});

  /// Moves due messages to ready, and counts if asked to (it is the costly part), but for fresh
  /// messages up to `passed`. One statement.
  Tick tick(bool with_counts = true, const Marks& passed = {});

  /// Whether up to `most` messages can be claimed behind no mark.
  Look look(const Marks& marks, int most);

  /// Looks through the fresh messages with ids above `after` up to `upto`, and moves those that can
  /// be claimed to where claims find them.
  Sweep sweep(const Marks& after, const Marks& upto);

  /// False through a pooler that swaps sessions between statements: LISTEN would be somebody
  /// else's.
  bool can_listen() const;
  /// LISTENs, and sends itself a first notification; counts as a listener.
  void listen();
  /// From now on senders notify, or no longer for this session's sake.
  void become_listener();
  void leave_listeners();
  enum class News { test, now, later };  ///< listen() itself; there is work; there will be
  /// What came for this queue since. Does not wait.
  std::vector<News> news();
  /// Readable when there may be news. Belongs to the connection.
  int socket() const;

  /// Only counts; changes nothing.
  QueueCounts counts();

 private:
  std::vector<Settled> settle_as_given(std::span<const Settlement> settlements,
                                       const RetryRule& rule);

  Connection& connection_;
  std::string name_;
};

}  // namespace pgforeman
