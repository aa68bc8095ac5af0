// How a consumer claims: from where on, telling along what is done, and what a claim's end says.

#include <algorithm>
#include <utility>

#include "child/settled.h"
#include "consumer/consumer.h"
#include "scoreboard/marks.h"

namespace pgforeman {
namespace {

// How long a claim of several messages waits for those of others, and how often it looks.
constexpr Millis kTurnPatience{50};
constexpr std::chrono::microseconds kTurnLook{300};

}  // namespace

/// So much is sent that maintenance looks for itself: after a claim that did not get all it asked
/// for, the next one within 2 ms would find next to nothing.
bool Consumer::just_emptied() {
  return std::exchange(got_less_, false) && context_.scoreboard->fleet().looking.load() != 0 &&
         Clock::now() - leased_at_ < Millis{2};
}

/// Takes along what is done. False: nobody looked, for that.
bool Consumer::claim() {
  loop_.enter(Phase::claiming);
  const auto done = done_together();
  std::vector<std::int64_t> ids;
  ids.reserve(done.size());
  for (const std::size_t i : done) ids.push_back(batch_[i].message.lease.id);
  const auto done_token = done.empty() ? 0 : batch_[done.front()].message.lease.token;
  const std::size_t stay = done.empty() ? batch_.size() : 0;
  const int wanted =
      watch_.at_most(std::min(batch_size_.next(), static_cast<int>(kMaxBatch - stay)));
  // A claim of one message collides with others seldom, and its commit is not to wait for theirs.
  auto turn = wanted > 1 ? wait_for_turn() : std::nullopt;
  if (loop_.draining()) return false;
  const Marks marks = marks_for_claim(context_.scoreboard->fleet(), Clock::now());
  begin_claim(wanted, marks, !done.empty());
  std::vector<Message> messages;
  try {
    messages = session_.queue().settle_and_claim(ids, done_token, wanted, open_claim_,
                                                 options_.visibility_timeout, open_claim_marks_);
  } catch (const DatabaseError& error) {
    if (claim_failed(done, error)) return false;
    throw;
  }
  turn.reset();
  session_.worked();
  raise_marks(context_.scoreboard->fleet(), messages);
  hold(done, std::move(messages), wanted);
  return true;
}

/// Before the call: if its answer never comes, its rows are found by this token.
void Consumer::begin_claim(int wanted, const Marks& marks, bool tells) {
  open_claim_ = next_token();
  open_claim_marks_ = marks;
  ledger_.begin_claim(open_claim_, marks);
  if (tells) ledger_.ask();
  leased_at_ = Clock::now();
  loop_.slot().slot().batch.store(static_cast<std::uint32_t>(wanted));
}

/// Takes over what a claim returned.
void Consumer::hold(Indexes done, std::vector<Message> messages, int wanted) {
  if (!done.empty()) note_done(done);
  ledger_.end_claim(messages);
  open_claim_ = 0;
  const auto got = static_cast<int>(messages.size());
  for (auto& message : messages) batch_.emplace_back().message = std::move(message);
  batch_size_.claimed(wanted, got);
  got_less_ = got > 0 && got < wanted;
  handled_for_ = {};
  // One notification may stand for many messages: whoever found work wakes the next.
  if (got == wanted) pass_on_wake_up();
  woken_ = false;
}

/// Nothing after kTurnPatience: then the claim runs beside others.
std::optional<ClaimTurn> Consumer::wait_for_turn() {
  const TimePoint until = Clock::now() + kTurnPatience;
  while (true) {
    const TimePoint now = Clock::now();
    auto turn = ClaimTurn::take(context_.scoreboard->fleet().claim_turns, now);
    if (turn || now >= until || loop_.draining()) return turn;
    loop_.run_until([] { return false; }, now + kTurnLook);
  }
}

/// What it was to tell along is told by itself next, which knows what to do about rows that
/// somebody has locked or took. True when that was all there was about it.
bool Consumer::claim_failed(Indexes done, const DatabaseError& error) {
  using Kind = DatabaseError::Kind;
  tell_alone_ = true;
  if (!done.empty() && error.may_work_later()) {
    open_claim_ = 0;
    ledger_.end_claim({});
    ledger_.answered();
    return true;
  }
  if (error.kind() == Kind::connection) {
    for (const std::size_t i : done) batch_[i].asked = true;
  } else {
    ledger_.answered();
    if (error.kind() == Kind::rejected) claim_refused_ = error.what();
  }
  return false;
}

/// An answer that was lost is nobody's doing; one that cannot be read, say for lack of memory, may
/// be a message's, which must not come back for ever.
void Consumer::give_back_claim() {
  loop_.enter(Phase::settling);
  std::optional<Outcome> crash;
  if (!claim_refused_.empty()) {
    crash = Outcome{Outcome::Kind::crash};
    crash->error = "its claim failed: " + claim_refused_;
    crash->evidence.cause = Cause::consumer_crash;
  }
  release_unheard_claim(session_.queue(), {open_claim_, open_claim_marks_}, crash,
                        retry_rule(options_));
  open_claim_ = 0;
  claim_refused_.clear();
}

std::int64_t Consumer::next_token() {
  // splitmix64 over who we are and how many claims there were: unique without asking anybody.
  std::uint64_t x = context_.fleet_id + (static_cast<std::uint64_t>(context_.slot) << 48U) +
                    (static_cast<std::uint64_t>(context_.epoch) << 24U) * 0x9e3779b97f4a7c15U +
                    ++claims_ * 0xd1342543de82ef95U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  const auto token = static_cast<std::int64_t>((x ^ (x >> 31U)) >> 1U);
  return token == 0 ? 1 : token;
}

}  // namespace pgforeman
