#include "consumer/claimer.h"

#include <algorithm>
#include <utility>

#include "process/settle_each.h"
#include "system/log.h"

namespace pgforeman {
namespace {

// How long a claim of several messages waits for its turn at the marks, and how often it checks.
constexpr Millis kTurnPatience{3};
constexpr std::chrono::microseconds kTurnPoll{300};
// How long the first claims of a fleet wait for its marks: without them each would walk what the
// last fleet has handled. Maintenance has them some milliseconds after its connect.
constexpr Millis kMarksPatience{200};
// Longer than a statement may take.
constexpr Millis kSecondRelease{13'000};
constexpr Millis kLongestCare{10'000};

}  // namespace

bool Claimer::just_emptied() {
  return std::exchange(got_less_, false) && tools_.queue().wakeups.maintenance_polls() &&
         Clock::now() - leases_.leased_at() < Millis{2};
}

Claimed Claimer::claim() {
  tools_.loop.enter(Phase::claiming);
  const bool careful = is_careful();
  // If the claim settles the messages held, it may fill the whole batch. A careful one settles
  // none.
  const int room = !careful && settler_.can_settle_with_claim() ? static_cast<int>(kMaxBatch)
                                                                : tools_.batch.room();
  if (room == 0) return Claimed::again;
  const int wanted = watch_.at_most(std::min(tools_.batch_size.next(), room));
  const Beginning beginning = find_beginning(wanted);
  if (tools_.loop.draining()) {
    if (beginning.has_turn) tools_.queue().cursors.end_turn();
    return Claimed::again;
  }
  open_ = OpenClaim{{next_token(), beginning.marks}, {}};
  tools_.batch.begin_claim(open_->claim);
  const auto done = careful ? Settler::WithClaim{} : settler_.begin_with_claim();
  const TimePoint asked_at = Clock::now();
  leases_.claimed(asked_at);
  tools_.loop.slot().batch.store(static_cast<std::uint32_t>(wanted));
  std::vector<ClaimedMessage> messages;
  try {
    messages = ask(wanted, careful, done);
  } catch (const DatabaseError& error) {
    if (beginning.has_turn) tools_.queue().cursors.end_turn();
    if (failed(done, error, careful, wanted)) return Claimed::again;
    throw;
  }
  tools_.session.worked();
  tools_.queue().marks.raise(messages);
  record_found(beginning, messages, wanted);
  settler_.settled(done);
  const auto got = static_cast<int>(messages.size());
  tools_.batch.add(std::move(messages));
  open_.reset();
  tools_.batch_size.claimed(wanted, got, Clock::now() - asked_at);
  got_less_ = got > 0 && got < wanted;
  if (got > 0) return got == wanted ? Claimed::all : Claimed::some;
  // The queue may have messages all the same: below the numbers it reserved, or behind those that
  // were refused.
  return beginning.reserved || refused_any_ ? Claimed::again : Claimed::none;
}

/// Waits for the fleet's first marks (kMarksPatience), then for the turn (kTurnPatience); without
/// it the claim runs beside others.
Claimer::Beginning Claimer::find_beginning(int wanted) {
  QueueBoard& board = tools_.queue();
  if (!marks_by_) marks_by_ = Clock::now() + kMarksPatience;
  while (!board.marks.swept() && Clock::now() < *marks_by_ && !tools_.loop.draining()) {
    tools_.loop.pause(kTurnPoll);
  }
  const TimePoint until = Clock::now() + kTurnPatience;
  while (true) {
    const TimePoint now = Clock::now();
    Beginning beginning{board.marks.for_claim(now), std::nullopt, false};
    beginning.reserved = board.cursors.reserve(beginning.marks, wanted, now);
    beginning.has_turn = !beginning.reserved && wanted > 1 && board.cursors.take_turn(now);
    if (beginning.reserved || beginning.has_turn || wanted == 1 || now >= until ||
        tools_.loop.draining()) {
      return beginning;
    }
    tools_.loop.pause(kTurnPoll);
  }
}

/// Tells the other consumers' claims what this one found.
void Claimer::record_found(const Beginning& beginning, std::span<const ClaimedMessage> messages,
                           int wanted) {
  ClaimCursors& cursors = tools_.queue().cursors;
  if (!beginning.reserved) cursors.advance_past(messages);
  const bool all = static_cast<int>(messages.size()) == wanted;
  // The lane, if all messages are of one: they are in the order of places, so the first and the
  // last show it. Messages left below the reserved numbers are below the mark: a sweep finds them.
  std::optional<std::size_t> lane;
  if (all && lane_of(messages.front().place) == lane_of(messages.back().place)) {
    lane = lane_of(messages.front().place);
  }
  // One message of one wanted does not show plenty; two such claims in a row do.
  if (lane && *lane < kLanes && (found_all_ || wanted > 1)) {
    cursors.record_plenty(*lane, Clock::now());
  }
  if (beginning.reserved && lane != beginning.reserved) {
    cursors.record_exhausted(*beginning.reserved);
  }
  found_all_ = all;
  if (beginning.has_turn) cursors.end_turn();
}

/// Records that the claim failed. True if a careful claim may work at once. Settler::settle() comes
/// first, for the done messages that this one was to settle.
bool Claimer::failed(const Settler::WithClaim& done, const DatabaseError& error, bool careful,
                     int wanted) {
  settler_.claim_failed(done, error);
  if (error.kind() == DatabaseError::Kind::rejected) open_->refused = error.what();
  if (error.may_work_later()) {  // the server has rolled it back
    open_.reset();
    tools_.batch.end_claim();
  }
  const bool of_session = error.is_of_session();
  if (error.kind() == DatabaseError::Kind::connection || !of_session) {
    tools_.batch_size.claim_failed(wanted);
  }
  is_careful_ = !of_session;  // proves: P28
  return !of_session && !careful;
}

bool Claimer::is_careful() const {
  const auto until = tools_.queue().careful_until_ms.load();
  const TimePoint now = Clock::now();
  return is_careful_ || (until > to_ms(now) && until <= to_ms(now + kLongestCare));
}

/// Sends the claim. A careful one claims row by row and without payloads: a message may be the
/// reason why the last claim failed, or why a consumer died in one.
std::vector<ClaimedMessage> Claimer::ask(int wanted, bool careful, const Settler::WithClaim& done) {
  Queue& queue = tools_.session.queue();
  const Millis lease = tools_.options.visibility_timeout;
  refused_any_ = false;
  if (!careful) return queue.claim(wanted, open_->claim, lease, done.ids, done.token);
  Queue::ClaimedEach claimed = queue.claim_each(wanted, open_->claim, lease);
  is_careful_ = false;
  refused_any_ = !claimed.refused.empty();
  for (const auto& refused : claimed.refused) {
    const log::MessageScope scope(refused.id, 0);
    log::error("message refused by the database, not claimed", {{"reason", refused.reason}});
    tools_.queue().refused_claims.add(refused.id);
    ClaimedMessage passed;
    passed.place = refused.place;  // sweeps try it again
    tools_.queue().marks.raise({&passed, 1});
  }
  return std::move(claimed.messages);
}

void Claimer::release_claims_in_doubt(TimePoint now) {
  if (open_) release_open_claim();
  if (late_ && now >= late_->at) release_again();
}

/// Releases the open claim's messages. A lost answer counts against no message. An answer
/// that came but could not be read (no memory, say) counts as a crash: a message that causes it
/// must not come back for ever.
void Claimer::release_open_claim() {
  tools_.loop.enter(Phase::settling);
  std::optional<Outcome> crash;
  if (!open_->refused.empty()) {
    crash = Outcome{Outcome::Kind::crash};
    crash->error = "its claim failed: " + open_->refused;
    crash->evidence.cause = Cause::consumer_crash;
  }
  release_in_doubt_claim(tools_.session.queue(), open_->claim, crash, retry_rule(tools_.options));
  if (!crash) late_ = {open_->claim, Clock::now() + kSecondRelease};
  open_.reset();
  tools_.batch.end_claim();
}

void Claimer::release_again() {
  tools_.loop.enter(Phase::settling);
  release_in_doubt_claim(tools_.session.queue(), late_->claim, std::nullopt,
                         retry_rule(tools_.options));
  late_.reset();
}

void Claimer::leave_to_maintenance() {
  if (open_) return;  // the ledger still has the open claim
  tools_.batch.end_claim();
  if (late_) tools_.batch.begin_claim(late_->claim);
}

Token Claimer::next_token() {
  // splitmix64 over fleet, slot, epoch and number of the claim: unique without asking the server.
  const ChildContext& context = tools_.context;
  std::uint64_t x = context.fleet_id + (static_cast<std::uint64_t>(context.slot) << 48U) +
                    (static_cast<std::uint64_t>(context.epoch) << 24U) * 0x9e3779b97f4a7c15U +
                    ++claims_ * 0xd1342543de82ef95U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  const auto token = static_cast<std::int64_t>((x ^ (x >> 31U)) >> 1U);
  return Token{token == 0 ? 1 : token};
}

}  // namespace pgforeman
