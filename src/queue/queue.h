#pragma once
// Calls the SQL functions of schema `pgforeman` (docs/queue.md), for the daemon and the commands.
// Each statement is one transaction; every call may throw DatabaseError. Fork: after.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fleet/claimed_message.h"
#include "pgforeman/outcome.h"
#include "queue/connection.h"
#include "queue/results.h"
#include "system/clock.h"

namespace pgforeman {

/// How a settle treats a row that another transaction has locked: waits for 200 ms and throws
/// DatabaseError::locked, or returns Settled::locked for it.
enum class RowLocks { wait, skip };

class Queue {
 public:
  Queue(Connection& connection, std::string name)
      : connection_(connection), name_(std::move(name)) {}

  /// Throws DatabaseError::schema unless the installed schema is one this binary can work with.
  void check_schema();

  /// Claims up to `limit` messages for `lease` under the caller's token, most urgent first; may
  /// return fewer than there are. First settles `done` as done, in the same transaction: messages
  /// that were claimed together. If any of them was no longer held, throws DatabaseError::transient
  /// and has done nothing.
  std::vector<ClaimedMessage> claim(int limit, const Claim& claim, Millis lease,
                                    std::span<const std::int64_t> done = {},
                                    Token done_token = Token::none);

  /// The same row by row and without payloads, after a claim that failed, for half a second.
  /// `refused`: messages that the database refuses to change; `blamed` as in Refused.
  struct ClaimedEach {
    std::vector<ClaimedMessage> messages;
    struct Refusal {
      std::int64_t id, place;  ///< id 0: nothing can be read at this place, as its page is damaged
      std::string reason;
    };
    std::vector<Refusal> refused;
    bool blamed = false;
  };
  ClaimedEach claim_each(int limit, const Claim& claim, Millis lease);
  /// Payload and headers of a message. Nothing if its lease is lost.
  std::optional<std::pair<std::string, std::string>> payload_of(const Lease& lease);

  /// Settles messages, which ends their leases. An outdated token changes nothing: lost_lease.
  std::vector<Settled> settle(std::span<const Settlement> settlements, const RetryRule& rule,
                              RowLocks locks = RowLocks::wait);

  /// Extends leases to `lease` from now; returns the ids that their tokens no longer hold.
  std::vector<std::int64_t> renew(std::span<const Lease> leases, Millis lease);

  /// Releases the messages of a claim with a lost answer, without counting an attempt; returns how
  /// many. With `crash` a message may have killed the claimer: a message that was claimed much more
  /// often than it ran counts a crash.
  std::int64_t release_claim(const Claim& claim, const std::optional<Outcome>& crash = {},
                             const RetryRule& rule = {});

  /// Moves due messages to ready, of those due at `due_from_us` or later (microseconds since the
  /// epoch), at most `most`, but none of `skipped`. With `passed` also counts, which is the costly
  /// part, the messages above these marks.
  Tick tick(const std::optional<Marks>& passed = Marks{}, std::int64_t due_from_us = 0,
            int most = 10'000, std::span<const std::int64_t> skipped = {});

  /// Returns the message that is due first, as tick() takes it.
  std::optional<std::int64_t> first_due(std::int64_t due_from_us,
                                        std::span<const std::int64_t> skipped);

  /// Counts up to `most` claimable messages above the marks; changes nothing. The others as tick().
  Peek peek(const Marks& marks, int most, std::int64_t due_from_us = 0,
            std::span<const std::int64_t> skipped = {});

  /// The marks that the queue's last fleet saved; all 0 if there are none.
  Marks saved_marks();
  void save_marks(const Marks& marks);

  /// Without marks `first` is left out, which may be slow.
  OpenWriters open_writers(const std::optional<Marks>& marks = {});

  /// Scans ranges that claims have passed, and gives what is claimable there a new place, where
  /// claims find it, at most `most` messages and none of `skipped`. `bucket_bits`: how many bits of
  /// a place are left out in a bucket's number.
  Sweep sweep(std::span<const PlaceRange> ranges, int bucket_bits, int most = 1000,
              std::span<const std::int64_t> skipped = {});

  /// False through a pooler that swaps sessions between statements: LISTEN would be in another
  /// client's session.
  bool can_listen() const;
  /// LISTENs, counts as a listener, and sends itself a test notification.
  void listen();
  /// Counts, or no longer counts, this session as a listener: senders notify if there is one.
  void become_listener();
  void leave_listeners();
  enum class Notification { test, now, later };  ///< from listen(); work now; work later
  /// Returns the new notifications for this queue. Does not wait.
  std::vector<Notification> notifications();
  /// Returns a socket that is readable when there may be one. It belongs to the connection.
  int socket() const;

  /// Returns how long until the next vacuum, so that there is one every `every`; nothing: this role
  /// may not.
  std::optional<Millis> vacuum_due(Millis every);
  /// Vacuums the table of messages; does nothing while another session vacuums it. Takes no lock
  /// that another call waits for.
  void vacuum();

  /// The highest id that was given out.
  std::int64_t highest_id();
  /// True if the queue has a scheduled message with this id or a lower one.
  bool has_scheduled(std::int64_t highest);

  /// Counts the queue; changes nothing.
  QueueCounts counts();

  /// Sets the sequence of ids forward, above all existing ids, never back: after a restore or a
  /// failover (see Tick::ids_behind). Nothing if there is no need or another session does it.
  std::optional<AdvancedIds> advance_ids();

 private:
  /// Runs a statement. A trigger or constraint on the tables may raise any error, also a missing
  /// schema or right. While schema and rights are in order, such an error becomes `rejected`.
  pqxx::result call(const std::string& sql, const std::vector<std::string>& params = {});
  bool schema_and_rights_stand();
  std::vector<Settled> settle_as_given(std::span<const Settlement> settlements,
                                       const RetryRule& rule, RowLocks locks);

  Connection& connection_;
  std::string name_;
};

}  // namespace pgforeman
