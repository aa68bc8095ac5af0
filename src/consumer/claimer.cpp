#include "consumer/claimer.h"

#include <algorithm>
#include <utility>

#include "process/settled.h"

namespace pgforeman {
namespace {

// How long a claim of several messages waits for its turn at the marks, and how often it checks.
constexpr Millis kTurnPatience{3};
constexpr std::chrono::microseconds kTurnPoll{300};
// Longer than a statement may take.
constexpr Millis kSecondRelease{13'000};

}  // namespace

bool Claimer::just_emptied() {
  return std::exchange(got_less_, false) && tools_.queue().wakeups.maintenance_polls.load() != 0 &&
         Clock::now() - leases_.leased_at() < Millis{2};
}

Claimed Claimer::claim() {
  Batch& batch = tools_.batch;
  tools_.loop.enter(Phase::claiming);
  const auto done = settler_.to_settle_with_claim();
  std::vector<std::int64_t> done_ids;
  done_ids.reserve(done.size());
  for (const std::size_t i : done) done_ids.push_back(batch[i].message.id);
  const auto done_token = done.empty() ? Token::none : batch[done.front()].message.token;
  const int room = done.empty() ? batch.room() : static_cast<int>(kMaxBatch);
  const int wanted = watch_.at_most(std::min(tools_.batch_size.next(), room));
  const Beginning beginning = find_beginning(wanted);
  if (tools_.loop.draining()) {
    if (beginning.has_turn) tools_.queue().cursors.end_turn();
    return Claimed::again;
  }

  open_ = OpenClaim{{next_token(), beginning.marks}, {}};
  batch.begin_claim(open_->claim);
  batch.begin_settle(done);
  leases_.claimed(Clock::now());
  tools_.loop.slot().batch.store(static_cast<std::uint32_t>(wanted));
  std::vector<ClaimedMessage> messages;
  try {
    messages = tools_.session.queue().claim(wanted, open_->claim, tools_.options.visibility_timeout,
                                            done_ids, done_token);
  } catch (const DatabaseError& error) {
    if (beginning.has_turn) tools_.queue().cursors.end_turn();
    if (must_settle_first(done, error)) return Claimed::again;
    throw;
  }
  tools_.session.worked();
  tools_.queue().marks.raise(messages);
  record_found(beginning, messages, wanted);
  if (!done.empty()) settler_.settled_with_claim(done);
  const auto got = static_cast<int>(messages.size());
  batch.add(std::move(messages));
  open_.reset();
  tools_.batch_size.claimed(wanted, got);
  got_less_ = got > 0 && got < wanted;
  if (got > 0) return got == wanted ? Claimed::all : Claimed::some;
  // There may be something before where it began.
  return beginning.reserved ? Claimed::again : Claimed::none;
}

/// Without a turn after kTurnPatience: then the claim runs beside others.
Claimer::Beginning Claimer::find_beginning(int wanted) {
  QueueBoard& board = tools_.queue();
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

/// What the claim says about how much there is.
void Claimer::record_found(const Beginning& beginning, std::span<const ClaimedMessage> messages,
                           int wanted) {
  ClaimCursors& cursors = tools_.queue().cursors;
  if (!beginning.reserved) cursors.overlapped(messages);
  const bool all = static_cast<int>(messages.size()) == wanted;
  const int lane = all ? messages.front().lane : 0;
  // All of one fresh lane: messages of others come first, and what was left there is below a mark.
  const bool of_one = all && lane % 2 == 1 && lane == messages.back().lane;
  const auto priority = static_cast<std::size_t>(lane / 2);
  // A claim after a wake-up may have got the only message there was.
  if (of_one && (found_all_ || wanted > 1)) cursors.found(priority, Clock::now());
  if (beginning.reserved && (!of_one || *beginning.reserved != priority)) {
    cursors.exhausted(*beginning.reserved);
  }
  found_all_ = all;
  if (beginning.has_turn) cursors.end_turn();
}

/// Records that the claim failed. True if it changed nothing, and what it was to settle is to be
/// settled alone: that knows what to do about rows that are locked or lost.
bool Claimer::must_settle_first(Batch::Indexes done, const DatabaseError& error) {
  using Kind = DatabaseError::Kind;
  settler_.claim_failed();
  if (error.kind() == Kind::connection) {
    tools_.batch.unanswered(done);
    return false;
  }
  tools_.batch.not_settled(done);
  if (!done.empty() && error.may_work_later()) {
    open_.reset();
    tools_.batch.end_claim();
    return true;
  }
  if (error.kind() == Kind::rejected) open_->refused = error.what();
  return false;
}

void Claimer::release_claims_in_doubt(TimePoint now) {
  if (open_) release_open_claim();
  if (late_ && now >= late_->at) release_again();
}

/// An answer that was lost is no message's fault; one that cannot be read, for lack of memory say,
/// may be a message's, which must not come back for ever.
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

TimePoint Claimer::second_release_at() const {
  return late_ ? late_->at : TimePoint::max();
}

void Claimer::release_again() {
  tools_.loop.enter(Phase::settling);
  release_in_doubt_claim(tools_.session.queue(), late_->claim, std::nullopt,
                         retry_rule(tools_.options));
  late_.reset();
}

void Claimer::leave_to_maintenance() {
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
