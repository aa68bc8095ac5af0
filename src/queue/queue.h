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

#include "fleet/claimed_message.h"
#include "pgforeman/outcome.h"
#include "queue/connection.h"
#include "queue/results.h"
#include "system/clock.h"

namespace pgforeman {

/// What a settle does about a row that another transaction has locked: waits for 200 ms and throws
/// DatabaseError::locked, or says Settled::locked for it.
enum class RowLocks { wait, skip };

/// How many a sweep moves at once, of each priority.
inline constexpr std::int64_t kSweepMoves = 1000;

class Queue {
 public:
  Queue(Connection& connection, std::string name)
      : connection_(connection), name_(std::move(name)) {}

  /// Throws DatabaseError::schema unless the installed schema is one this binary can work with.
  void check_schema();

  /// Claims up to `limit` messages for `lease`, most urgent first. May return fewer than there are.
  /// The caller chooses the token. Before, in the same transaction, settles as done the messages
  /// `done`, which were claimed together. Throws DatabaseError::transient, and has done nothing,
  /// when any of them was no longer held.
  std::vector<ClaimedMessage> claim(int limit, const Claim& claim, Millis lease,
                                    std::span<const std::int64_t> done = {},
                                    Token done_token = Token::none);

  /// Ends leases. One whose token moved on changes nothing and says lost_lease.
  std::vector<Settled> settle(std::span<const Settlement> settlements, const RetryRule& rule,
                              RowLocks locks = RowLocks::wait);

  /// Extends leases to `lease` from now; returns the ids that are no longer held by their token.
  std::vector<std::int64_t> renew(std::span<const Lease> leases, Millis lease);

  /// Releases without counting an attempt what a claim with a lost answer holds; returns the number
  /// of messages. With `crash` the claimer died of what may be the message's doing: one that was
  /// claimed much more often than it ran counts a crash.
  std::int64_t release_claim(const Claim& claim, const std::optional<Outcome>& crash = {},
                             const RetryRule& rule = {});

  /// Moves due messages to ready, and counts if asked to (it is the costly part), but for fresh
  /// messages up to `passed`. One statement.
  Tick tick(bool with_counts = true, const Marks& passed = {});

  /// How many messages, up to `most`, can be claimed above the marks.
  Peek peek(const Marks& marks, int most);

  /// Scans the fresh messages with ids above `after` up to `upto`, and moves those that can be
  /// claimed to where claims find them.
  Sweep sweep(const Marks& after, const Marks& upto);

  /// False through a pooler that swaps sessions between statements: LISTEN would be that of
  /// another client.
  bool can_listen() const;
  /// LISTENs, and sends itself a first notification; counts as a listener.
  void listen();
  /// From now on senders notify, or no longer for this session's sake.
  void become_listener();
  void leave_listeners();
  enum class Notification { test, now, later };  ///< listen() itself; there is work; there will be
  /// What came for this queue since. Does not wait.
  std::vector<Notification> notifications();
  /// Readable when there may be one. Belongs to the connection.
  int socket() const;

  /// How long until the next vacuum, so that one is done every so often; nothing: this role
  /// may not.
  std::optional<Millis> vacuum_due(Millis every);
  /// Of the table of messages; not at all while another session does. Takes no lock that any of the
  /// other calls waits for.
  void vacuum();

  /// Only counts; changes nothing.
  QueueCounts counts();

  /// Sets the sequence of ids forward, above all ids there are, never back: after a restore or a
  /// failover: see Tick::ids_behind. Nothing if there is no need, or another session does it.
  std::optional<AdvancedIds> advance_ids();

 private:
  /// As Connection's. A trigger or constraint on the tables may raise any error, also those by
  /// which a missing schema or right is known: while both stand, such an error is `rejected`.
  pqxx::result call(const std::string& sql, const std::vector<std::string>& params);
  bool schema_and_rights_stand();
  std::vector<Settled> settle_as_given(std::span<const Settlement> settlements,
                                       const RetryRule& rule, RowLocks locks);

  Connection& connection_;
  std::string name_;
};

}  // namespace pgforeman
