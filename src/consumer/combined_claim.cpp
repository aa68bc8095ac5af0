// How a consumer that wants one message claims together with siblings that do: see
// scoreboard/combining.h.

#include <algorithm>
#include <utility>

#include "child/settled.h"
#include "consumer/consumer.h"
#include "scoreboard/marks.h"

namespace pgforeman {

/// As claim(); nothing when it is to claim by itself.
std::optional<bool> Consumer::claim_combined(Indexes done) {
  const Marks marks = marks_for_claim(context_.scoreboard->fleet(), Clock::now());
  begin_claim(1, marks, !done.empty());
  OneClaim own{open_claim_, marks, {}};
  if (!done.empty()) own.done = batch_[done.front()].message.lease;
  switch (combining_.publish(own, [this] { return loop_.check_signals(); })) {
    case Combining::Part::combines:
      if (loop_.draining()) break;
      if (const auto all = combining_.gather(batch_size_.are_brief()); all.size() > 1) {
        return claim_for_all(all, done);
      }
      break;
    case Combining::Part::answered:
      return take_answer(done);
    case Combining::Part::failed:
      claim_alone_ = tell_alone_ = true;
      claim_not_made();
      return false;
    case Combining::Part::unknown:
      claim_alone_ = tell_alone_ = true;
      claim_unanswered(done);
      return false;
    case Combining::Part::alone:
      break;
  }
  claim_not_made();
  return std::nullopt;
}

bool Consumer::claim_for_all(std::span<const OneClaim> all, Indexes done) {
  std::vector<Lease> all_done;
  std::vector<std::int64_t> tokens;
  Marks marks{};
  for (const OneClaim& claim : all) {
    tokens.push_back(claim.token);
    if (claim.done.id != 0) all_done.push_back(claim.done);
    for (std::size_t i = 0; i < marks.size(); ++i) marks[i] = std::max(marks[i], claim.marks[i]);
  }
  FleetBoard& board = context_.scoreboard->fleet();
  const auto wanted = static_cast<int>(all.size());
  const auto apart = begin_apart(board, marks, wanted, Clock::now());
  std::vector<Message> messages;
  try {
    messages = session_.queue().settle_and_claim_each(all_done, tokens, options_.visibility_timeout,
                                                      marks);
  } catch (const DatabaseError& error) {
    claim_alone_ = true;
    combining_.fail_all(!error.may_work_later());
    if (claim_failed(done, error, !all_done.empty(), true)) return false;
    throw;
  }
  session_.worked();
  raise_marks(board, messages);
  note_how_many(messages, wanted, apart);
  const bool look_again = apart && static_cast<int>(messages.size()) < wanted;
  return hold(done, combining_.answer_all(std::move(messages), look_again), 1, look_again);
}

/// A sibling has made the claim.
bool Consumer::take_answer(Indexes done) {
  auto answer = combining_.answer();
  found_enough_ = answer.message.has_value();
  if (!done.empty()) note_done(done);
  if (answer.message && !answer.fits) {
    try {
      if (!session_.queue().fetch(*answer.message)) answer.message.reset();
      session_.worked();
    } catch (const DatabaseError& error) {
      claim_failed({}, error, false, false);
      throw;
    }
  }
  std::vector<Message> messages;
  if (answer.message) messages.push_back(std::move(*answer.message));
  return hold({}, std::move(messages), 1, answer.look_again);
}

}  // namespace pgforeman
