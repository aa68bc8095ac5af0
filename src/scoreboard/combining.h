#pragma once
// Flat combining of claims: while a claim of one consumer is under way, siblings that want one
// message each publish theirs, and the next of them, the combiner, makes all of them as one
// transaction. It is no more than their messenger: each claim has its own token, which stands in
// its own consumer's ledger, so whoever dies meanwhile leaves behind what it always leaves.
//
// Shared memory: one word for each slot says how far its claim is and who has it in hand, so that
// one who was stopped in the middle can write nothing once it was given up. Anything may stand
// there: what is read is bounded, and the token protects the database. Fork: after.

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "pgforeman/message.h"
#include "scoreboard/sealed_answer.h"

namespace pgforeman {

class Scoreboard;

/// What a consumer wants: one message under `token`; and before, to tell that `done` is.
struct OneClaim {
  std::int64_t token = 0;
  Marks marks{};  ///< it must not begin before them: what it gets is looked for from there on
  Lease done{};   ///< id 0: none
};

/// A slot's published claim and its answer.
struct alignas(64) PublishedClaim {
  std::atomic<std::uint32_t> word;  ///< a futex
  std::uint32_t turn;               ///< that was handed over,
  std::int64_t turn_until_ms;       ///< and until when it lasts
  OneClaim claim;
  SealedAnswer answer;  ///< whose turn it is to touch it, the word says
};

/// One consumer's hand on it.
class Combining {
 public:
  /// A turn that is not ended is over after so long.
  static constexpr Millis kTurn{50};
  Combining(Scoreboard& board, int slot, Millis turn = kTurn);
  ~Combining() { end(); }
  Combining(const Combining&) = delete;
  Combining& operator=(const Combining&) = delete;

  enum class Part {
    combines,  ///< is to make the claims that gather() finds, and then to say end()
    answered,  ///< somebody has: see answer()
    failed,    ///< somebody has, and the database did nothing
    unknown,   ///< nobody knows what became of it
    alone,     ///< is to claim by itself
  };
  /// Publishes the claim and waits for what becomes of it, for some seconds at most; for nobody to
  /// take it along only until `withdraw`, which is asked each few milliseconds, says so.
  Part publish(const OneClaim& claim, const std::function<bool()>& withdraw);

  ClaimAnswer answer() { return std::move(answer_); }

  /// The combiner: its own claim, then those of siblings, who wait for answer_all() or fail_all().
  /// `linger`: for a moment, for those who have just been answered and have next to nothing to do.
  std::span<const OneClaim> gather(bool linger);
  /// Gives the siblings theirs of these messages. Returns the others: its own, and those of
  /// siblings that have given up.
  std::vector<Message> answer_all(std::vector<Message> messages, bool look_again);
  /// The database did nothing; or nobody knows what it did.
  void fail_all(bool unknown);
  /// Lets the next one combine. Siblings without an answer learn that nobody knows it.
  void end();

 private:
  PublishedClaim& of(int slot);
  bool is_stuck(std::uint32_t word);
  std::optional<Part> wait_for_turn(std::uint32_t word, bool withdraw);
  std::optional<Part> wait_for_combiner(std::uint32_t word);
  bool take_turn();
  void release_turn();
  bool hand_over_turn();
  void wait(std::uint32_t word);
  bool may_take_along(int slot, const OneClaim& claim) const;
  std::optional<int> take_next(int& from, int end, std::uint32_t word);
  bool write(int slot, const OneClaim& claim, const Message* message, bool look_again);

  Scoreboard& board_;
  int slot_;
  std::uint32_t hand_;  ///< who that is, in words
  Millis turn_length_;
  std::vector<OneClaim> gathered_;
  std::vector<int> slots_;  ///< whose these are, but for the first
  struct Turn {
    std::size_t index;
    std::int64_t until_ms;
  };
  std::optional<Turn> turn_;
  OneClaim own_;
  ClaimAnswer answer_;
  // Who has the own claim in hand, and until when to wait.
  std::optional<std::uint32_t> combiner_;
  TimePoint wait_until_;
  Millis look_{};  ///< how long until the next one
  std::optional<TimePoint> stuck_since_;
};

/// Supervisor: whoever lived in this slot wants nothing any more.
void forget_published_claim(Scoreboard& board, int slot);

}  // namespace pgforeman
