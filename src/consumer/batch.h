#pragma once
// The messages that a consumer has leased, in the order in which they run. Every change of a state
// goes through next_state() and into the ledger, which outlives the consumer. Owned by one
// consumer. Fork: after.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "fleet/claimed_message.h"
#include "fleet/ledger.h"
#include "fleet/message_state.h"
#include "pgforeman/outcome.h"
#include "system/clock.h"

namespace pgforeman {

struct LeasedMessage {
  ClaimedMessage message;
  MessageState state = MessageState::waiting;
  std::int64_t started_ms = 0;     ///< wall clock; 0: not started
  std::optional<Outcome> outcome;  ///< once it has ended
  TimePoint settle_at{};           ///< deferred: not before
  Millis deferred_for{0};          ///< the last time; 0: never

  bool waits() const { return state == MessageState::waiting; }
  bool runs() const {
    return state == MessageState::running || state == MessageState::running_lost;
  }
  bool is_lost() const {
    return state == MessageState::running_lost || state == MessageState::lost;
  }
  bool is_unsettled() const { return pgforeman::is_unsettled(state); }
  bool is_deferred() const { return is_unsettled() && deferred_for > Millis{0}; }
};

class Batch {
 public:
  using Indexes = std::span<const std::size_t>;

  explicit Batch(LedgerWriter& ledger) : ledger_(ledger) {}

  std::size_t size() const { return messages_.size(); }
  bool empty() const { return messages_.empty(); }
  /// How many more may be claimed.
  int room() const { return static_cast<int>(kMaxBatch - messages_.size()); }
  const LeasedMessage& operator[](std::size_t index) const { return messages_[index]; }
  std::span<const LeasedMessage> all() const { return messages_; }
  bool any_waits() const;
  bool any_deferred() const;
  /// Leases of messages that wait or run, from `from` on.
  std::vector<Lease> leases_from(std::size_t from) const;

  /// True if every unsettled message is done and from one claim, none is in doubt or deferred, and
  /// none waits: then the next claim can settle them in its own transaction. Also true if nothing
  /// is held.
  bool can_settle_with_claim() const;

  // Changes. Each throws std::logic_error if the message's state does not allow it: a bug.

  /// Before a claim is sent: if its answer never comes, its token finds its rows. It is followed by
  /// add() or, when it holds nothing, by end_claim().
  void begin_claim(const Claim& claim) { ledger_.begin_claim(claim); }
  void end_claim() { ledger_.end_claim({}); }
  /// What the claim returned.
  void add(std::vector<ClaimedMessage> messages);
  /// `deadline`: the leases are renewed until then at most.
  void start(std::size_t index, std::int64_t wall_ms, TimePoint deadline);
  /// Adds what a claim without payloads left out.
  void set_payload(std::size_t index, std::string payload, std::string headers);
  void end(std::size_t index, Outcome outcome);
  void lose(std::size_t index);
  /// A settle of these is about to be sent. It is followed by settled(), defer(), not_settled() or
  /// unanswered() of each.
  void begin_settle(Indexes indexes);
  void unanswered(Indexes indexes);
  void not_settled(Indexes indexes);
  /// The message is not settled yet (a locked row, a temporary error, no time): it waits 1, 2, 4
  /// ... 10 s before its next settle.
  void defer(std::size_t index, TimePoint now);
  void settled(std::size_t index);
  /// Forgets settled and lost messages. False if a message waits or runs: then it
  /// forgets no message.
  bool forget_settled();

 private:
  LeasedMessage& change(std::size_t index, MessageEvent event);

  LedgerWriter& ledger_;
  std::vector<LeasedMessage> messages_;
};

}  // namespace pgforeman
