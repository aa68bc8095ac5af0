#include "consumer/claimer.h"

#include <algorithm>
#include <utility>

#include "system/log.h"

namespace pgforeman {
namespace {

// How long a claim of several messages waits for its turn at the marks, and how often it checks.
constexpr Millis kTurnPatience{3};
constexpr std::chrono::microseconds kTurnPoll{300};
// How long the first claims of a fleet wait for its marks: without them each would walk what the
// last fleet has handled. Maintenance has them some milliseconds after its connect.
constexpr Millis kMarksPatience{200};
constexpr Millis kLongestCare{10'000};

}  // namespace

bool Claimer::just_emptied() {
  return state_.take_emptied() && tools_.queue().wakeups.maintenance_polls() &&
         Clock::now() - leases_.leased_at() < Millis{2};
}

ClaimPlan Claimer::plan(bool may_wait) const {
  using Next = ClaimState::Next;
  const auto until = tools_.queue().careful_until_ms.load();
  const TimePoint now = Clock::now();
  const bool fleet_is_careful = until > to_ms(now) && until <= to_ms(now + kLongestCare);
  if (fleet_is_careful || state_.next() == Next::careful) return {.careful = true};
  return {.settles =
              !may_wait && state_.next() == Next::normal && tools_.batch.can_settle_with_claim()};
}

Claimed Claimer::claim(ClaimPlan plan) {
  tools_.loop.enter(Phase::claiming);
  // A claim that settles all messages held may fill the whole batch.
  const int room = plan.settles ? static_cast<int>(kMaxBatch) : tools_.batch.room();
  const int wanted = watch_.at_most(std::min(tools_.batch_size.next(), room));
  const Beginning beginning = find_beginning(wanted);
  if (tools_.loop.draining()) {
    if (beginning.has_turn) tools_.queue().cursors.end_turn();
    return Claimed::again;
  }
  const Claim claim{next_token(), beginning.marks};
  open_.begin(claim);
  const auto done = plan.settles ? settler_.begin_with_claim() : Settler::WithClaim{};
  const TimePoint asked_at = Clock::now();
  leases_.claimed(asked_at);
  tools_.loop.slot().batch.store(static_cast<std::uint32_t>(wanted));
  std::vector<ClaimedMessage> messages;
  bool refused_any = false;
  try {
    messages = plan.careful ? ask_each(wanted, claim, refused_any) : ask(wanted, claim, done);
  } catch (const DatabaseError& error) {
    if (beginning.has_turn) tools_.queue().cursors.end_turn();
    if (failed(done, error, plan.careful, wanted)) return Claimed::again;
    throw;
  }
  tools_.session.worked();
  tools_.queue().marks.raise(messages);
  record_found(beginning, messages, wanted);
  settler_.claim_settled(done);
  const auto got = static_cast<int>(messages.size());
  tools_.batch.add(std::move(messages));
  open_.answered();
  tools_.batch_size.claimed(wanted, got, Clock::now() - asked_at);
  state_.answered(wanted, got);
  // It may have found nothing and the queue have messages: below the numbers it reserved, or behind
  // those that were refused.
  if (got == 0 && (beginning.reserved || refused_any)) return Claimed::again;
  return got == wanted ? Claimed::all : Claimed::fewer;
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
  if (lane && *lane < kLanes && (state_.found_all() || wanted > 1)) {
    cursors.record_plenty(*lane, Clock::now());
  }
  if (beginning.reserved && lane != beginning.reserved) {
    cursors.record_exhausted(*beginning.reserved);
  }
  if (beginning.has_turn) cursors.end_turn();
}

/// Records that the claim failed. True if a careful claim may work at once.
bool Claimer::failed(const Settler::WithClaim& done, const DatabaseError& error, bool careful,
                     int wanted) {
  settler_.claim_failed(done, error);
  if (error.kind() == DatabaseError::Kind::rejected) open_.unreadable(error.what());
  if (error.may_work_later()) open_.rolled_back();
  // A payload may also end the server's process that reads it, and so the session.
  const bool is_suspect = error.kind() == DatabaseError::Kind::connection || !error.is_of_session();
  if (is_suspect) tools_.batch_size.claim_failed(wanted);
  state_.failed(is_suspect);
  return !error.is_of_session() && !careful;
}

std::vector<ClaimedMessage> Claimer::ask(int wanted, const Claim& claim,
                                         const Settler::WithClaim& done) {
  return tools_.session.queue().claim(wanted, claim, tools_.options.visibility_timeout, done.ids,
                                      done.token);
}

/// Claims row by row and without payloads: a message may be the reason why the last claim failed,
/// or why a consumer died in one. What the database refuses is left to sweeps, so that it keeps no
/// claim from the messages behind it. Throws DatabaseError if all were refused and the server may
/// be the reason.
std::vector<ClaimedMessage> Claimer::ask_each(int wanted, const Claim& claim, bool& refused_any) {
  Queue::ClaimedEach claimed =
      tools_.session.queue().claim_each(wanted, claim, tools_.options.visibility_timeout);
  refused_any = !claimed.refused.empty();
  if (claimed.blamed) tools_.queue().refused.add(RefusedChange::claim, claimed.refused.size());
  for (const auto& refused : claimed.refused) {
    ClaimedMessage passed;
    passed.place = refused.place;
    tools_.queue().marks.raise({&passed, 1});
    if (refused.id == 0) {
      log_damage(refused);
      continue;
    }
    const bool added = tools_.queue().refused_claims.add(refused.id, claimed.blamed);
    const log::MessageScope scope(refused.id, 0);
    if (claimed.blamed && added) {
      log::error("message refused by the database, not claimed", {{"reason", refused.reason}});
    }
  }
  if (refused_any && !claimed.blamed) {
    throw DatabaseError(DatabaseError::Kind::transient, claimed.refused.back().reason);
  }
  return std::move(claimed.messages);
}

void Claimer::log_damage(const Queue::ClaimedEach::Refusal& refused) {
  if (!tools_.fleet().should_log(refused.reason, Clock::now())) return;
  log::error("messages on a damaged page are passed over",
             {{"reason", refused.reason}, {"place", refused.place}});
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
