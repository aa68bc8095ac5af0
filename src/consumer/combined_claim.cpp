// How a consumer that wants one message claims together with siblings that do: see
// scoreboard/combining.h.

#include <utility>

#include "child/settled.h"
#include "consumer/consumer.h"
#include "scoreboard/marks.h"

namespace pgforeman {

/// As claim(); nothing when it is to claim by itself.
std::optional<bool> Consumer::claim_combined(std::span<const std::size_t> done) {
  open_claim_ = next_token();
  open_claim_marks_ = marks_for_claim(context_.scoreboard->fleet(), Clock::now());
  ledger_.begin_claim(open_claim_, open_claim_marks_);
  OneClaim own{open_claim_, {}};
  if (!done.empty()) {
    own.done = batch_[done.front()].message.lease;
    ledger_.ask();
  }
  leased_at_ = Clock::now();
  loop_.slot().slot().batch.store(1);
  switch (combining_.publish(own)) {
    case Combining::Part::combines:
      if (const auto all = combining_.gather(batch_size_.are_brief()); all.size() > 1)
        return claim_for_all(all, done);
      break;
    case Combining::Part::answered:
      return take_answer(done);
    case Combining::Part::failed:
      claim_alone_ = true;
      claim_not_made();
      return false;
    case Combining::Part::unknown:
      claim_alone_ = true;
      claim_unanswered(done);
      return false;
    case Combining::Part::alone:
      break;
  }
  return std::nullopt;
}

bool Consumer::claim_for_all(std::span<const OneClaim> all, std::span<const std::size_t> done) {
  std::vector<Lease> all_done;
  std::vector<std::int64_t> tokens;
  for (const OneClaim& claim : all) {
    tokens.push_back(claim.token);
    if (claim.done.id != 0) all_done.push_back(claim.done);
  }
  FleetBoard& board = context_.scoreboard->fleet();
  const auto wanted = static_cast<int>(all.size());
  Marks marks = open_claim_marks_;
  const auto apart = begin_apart(board, marks, wanted, Clock::now());
  std::vector<Message> messages;
  try {
    messages = session_.queue().settle_and_claim_each(all_done, tokens, options_.visibility_timeout,
                                                      marks);
  } catch (const DatabaseError& error) {
    claim_alone_ = true;
    const bool refused = error.may_work_later();
    combining_.fail_all(!refused);
    if (refused && !all_done.empty()) {
      claim_not_made();
      return false;
    }
    // Whose message it is that cannot be read is found out by who claims it alone.
    if (error.kind() == DatabaseError::Kind::connection) claim_unanswered(done);
    throw;
  }
  raise_marks(board, messages);
  note_how_many(messages, wanted, apart);
  session_.worked();
  const bool look_again = apart && static_cast<int>(messages.size()) < wanted;
  return hold(done, combining_.answer_all(std::move(messages), look_again), 1, look_again);
}

/// A sibling has made the claim.
bool Consumer::take_answer(std::span<const std::size_t> done) {
  auto answer = combining_.answer();
  found_enough_ = answer.message.has_value();
  if (!done.empty()) note_done(done);
  if (answer.message && !answer.fits) {
    try {
      if (!session_.queue().fetch(*answer.message)) answer.message.reset();
    } catch (const DatabaseError& error) {
      claim_failed({}, error);
      throw;
    }
  }
  std::vector<Message> messages;
  if (answer.message) messages.push_back(std::move(*answer.message));
  return hold({}, std::move(messages), 1, answer.look_again);
}

}  // namespace pgforeman
