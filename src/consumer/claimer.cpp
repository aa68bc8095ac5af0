#include "consumer/claimer.h"

#include <algorithm>
#include <utility>

#include "child/settled.h"
#include "child/unheard_claim.h"

namespace pgforeman {
namespace {

// How long a claim of several messages waits for those of others, and how often it looks.
constexpr Millis kTurnPatience{50};
constexpr std::chrono::microseconds kTurnLook{300};

}  // namespace

bool Claimer::just_emptied() {
  return std::exchange(got_less_, false) && tools_.queue().news.maintenance_polls.load() != 0 &&
         Clock::now() - leases_.leased_at() < Millis{2};
}

Claimed Claimer::claim() {
  Batch& batch = tools_.batch;
  tools_.loop.enter(Phase::claiming);
  const auto done = settler_.with_claim();
  std::vector<std::int64_t> done_ids;
  done_ids.reserve(done.size());
  for (const std::size_t i : done) done_ids.push_back(batch[i].message.lease.id);
  const auto done_token = done.empty() ? 0 : batch[done.front()].message.lease.token;
  const int room = done.empty() ? batch.room() : static_cast<int>(kMaxBatch);
  const int wanted = watch_.at_most(std::min(tools_.batch_size.next(), room));
  // A claim of one message collides with others seldom, and its commit is not to wait for theirs.
  auto turn = wanted > 1 ? wait_for_turn() : std::nullopt;
  if (tools_.loop.draining()) return {};

  open_ = OpenClaim{next_token(), tools_.queue().marks.for_claim(Clock::now()), {}};
  // Before the call: if its answer never comes, its rows are found by this token.
  tools_.ledger.begin_claim(open_->token, open_->marks);
  if (!done.empty()) tools_.ledger.ask();
  leases_.claimed(Clock::now());
  tools_.loop.slot().slot().batch.store(static_cast<std::uint32_t>(wanted));
  std::vector<Message> messages;
  try {
    messages =
        tools_.session.queue().settle_and_claim(done_ids, done_token, wanted, open_->token,
                                                tools_.options.visibility_timeout, open_->marks);
  } catch (const DatabaseError& error) {
    if (settles_first(done, error)) return {};
    throw;
  }
  turn.reset();
  tools_.session.worked();
  tools_.queue().marks.raise(messages);
  if (!done.empty()) settler_.settled_with_claim(done);
  const auto got = static_cast<int>(messages.size());
  batch.add(std::move(messages));
  open_.reset();
  tools_.batch_size.claimed(wanted, got);
  got_less_ = got > 0 && got < wanted;
  return {true, wanted, got};
}

/// Nothing after kTurnPatience: then the claim runs beside others.
std::optional<ClaimTurn> Claimer::wait_for_turn() {
  const TimePoint until = Clock::now() + kTurnPatience;
  while (true) {
    const TimePoint now = Clock::now();
    auto turn = ClaimTurn::take(tools_.queue().claim_turns, now);
    if (turn || now >= until || tools_.loop.draining()) return turn;
    tools_.loop.run_until([] { return false; }, now + kTurnLook);
  }
}

/// What a failed claim was to settle is settled alone next, which knows what to do about rows that
/// are locked or lost. True when the claim did nothing at all.
bool Claimer::settles_first(Batch::Indexes done, const DatabaseError& error) {
  using Kind = DatabaseError::Kind;
  settler_.claim_failed();
  if (!done.empty() && error.may_work_later()) {
    open_.reset();
    tools_.ledger.end_claim({});
    tools_.ledger.answered();
    return true;
  }
  if (error.kind() == Kind::connection) {
    for (const std::size_t i : done) tools_.batch.unanswered(i);
  } else {
    tools_.ledger.answered();
    if (error.kind() == Kind::rejected) open_->refused = error.what();
  }
  return false;
}

/// An answer that was lost is no message's fault; one that cannot be read, for lack of memory say,
/// may be a message's, which must not come back for ever.
void Claimer::give_back_open_claim() {
  tools_.loop.enter(Phase::settling);
  std::optional<Outcome> crash;
  if (!open_->refused.empty()) {
    crash = Outcome{Outcome::Kind::crash};
    crash->error = "its claim failed: " + open_->refused;
    crash->evidence.cause = Cause::consumer_crash;
  }
  release_unheard_claim(tools_.session.queue(), {open_->token, open_->marks}, crash,
                        retry_rule(tools_.options));
  open_.reset();
  tools_.ledger.end_claim({});
}

std::int64_t Claimer::next_token() {
  // splitmix64 over fleet, slot, epoch and number of the claim: unique without asking the server.
  const ChildContext& context = tools_.context;
  std::uint64_t x = context.fleet_id + (static_cast<std::uint64_t>(context.slot) << 48U) +
                    (static_cast<std::uint64_t>(context.epoch) << 24U) * 0x9e3779b97f4a7c15U +
                    ++claims_ * 0xd1342543de82ef95U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  const auto token = static_cast<std::int64_t>((x ^ (x >> 31U)) >> 1U);
  return token == 0 ? 1 : token;
}

}  // namespace pgforeman
