#include "scoreboard/combining.h"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "base/futex.h"
#include "scoreboard/scoreboard.h"

namespace pgforeman {
namespace {

enum class State : std::uint32_t {
  idle,
  published,
  taken,     ///< its combiner asks the database
  writing,   ///< its combiner writes the answer, or hands over the turn
  combines,  ///< it was handed the turn
  answered,
  failed,
  unknown,
};

/// More would only take longer.
constexpr std::size_t kMostClaims = 32;
/// Whoever else waits while a claim is under way goes along with the next one: that costs least.
/// But where so many wait, somebody makes one beside it.
constexpr std::size_t kWaitingForAnother = 16;
/// Those who have just been answered come back so soon if they have nothing to do.
constexpr std::chrono::microseconds kLinger{30};
/// How often a claim that nobody has in hand looks for a turn, and one that somebody has whether
/// that one is alive: the longer it takes, the more may wait.
constexpr Millis kFirstClaimLook{5};
constexpr Millis kLastClaimLook{20};
/// Longer than that no claim waits for another consumer, which may have been stopped.
constexpr Millis kSiblingPatience{3000};
/// Whoever was stopped while it claimed has been killed by then.
constexpr Millis kStuckFor{60'000};

/// The state is followed by whose hand it is in: a slot, and as much of its epoch as has room.
constexpr unsigned kStateBits = 8, kSlotBits = 10;
static_assert(kMaxConsumers == 1 << kSlotBits);

std::uint32_t word_of(State state, std::uint32_t hand = 0) {
  return hand << kStateBits | static_cast<std::uint32_t>(state);
}

State state_of(std::uint32_t word) {
  return static_cast<State>(word & 0xffU);
}

std::uint32_t hand_of(std::uint32_t word) {
  return word >> kStateBits;
}

std::uint32_t hand_of(Scoreboard& board, int slot) {
  const std::uint32_t epoch = board.slot(slot).epoch.load();
  return hand_of(word_of(State::idle, epoch << kSlotBits | static_cast<std::uint32_t>(slot)));
}

/// The supervisor writes both as soon as it is dead.
bool lives(Scoreboard& board, std::uint32_t hand) {
  const int slot = static_cast<int>(hand % kMaxConsumers);
  return board.slot(slot).beat.load() != 0 && hand_of(board, slot) == hand;
}

std::atomic<std::uint64_t>& bits_of(FleetBoard& board, int slot) {
  return board.published[static_cast<std::size_t>(slot) / 64];
}

std::uint64_t bit_of(int slot) {
  return std::uint64_t{1} << (static_cast<unsigned>(slot) % 64U);
}

std::size_t published(const FleetBoard& board) {
  std::size_t count = 0;
  for (const auto& bits : board.published) {
    count += static_cast<std::size_t>(std::popcount(bits.load()));
  }
  return count;
}

}  // namespace

Combining::Combining(Scoreboard& board, int slot, Millis turn)
    : board_(board), slot_(slot), hand_(hand_of(board, slot)), turn_length_(turn) {}

PublishedClaim& Combining::of(int slot) {
  return board_.published_claim(slot);
}

Combining::Part Combining::publish(const OneClaim& claim, const std::function<bool()>& withdraw) {
  PublishedClaim& own = of(slot_);
  own_ = claim;
  auto before = own.word.load();
  do {
    if (is_stuck(before)) return Part::alone;
  } while (!own.word.compare_exchange_weak(before, word_of(State::idle)));
  own.claim = claim;
  combiner_.reset();
  wait_until_ = Clock::now() + kSiblingPatience;
  look_ = kFirstClaimLook;
  own.word.store(word_of(State::published));
  bits_of(board_.fleet(), slot_).fetch_or(bit_of(slot_));
  for (bool wants = true;; wants = !withdraw()) {
    const auto word = own.word.load();
    std::optional<Part> part;
    switch (state_of(word)) {
      case State::published:
        part = wait_for_turn(word, !wants);
        break;
      case State::taken:
      case State::writing:
        part = wait_for_combiner(word);
        break;
      case State::combines: {
        const std::size_t turns = board_.fleet().combining_until_ms.size();
        turn_ = {std::min<std::size_t>(own.turn, turns - 1), own.turn_until_ms};
        part = Part::combines;
        own.word.store(word_of(State::idle));
        break;
      }
      case State::answered:
        if (auto answer = read_answer(own.answer, claim.token)) {
          answer_ = std::move(*answer);
          part = Part::answered;
        } else {
          part = Part::unknown;
        }
        own.word.store(word_of(State::idle));
        break;
      case State::failed:
        part = Part::failed;
        own.word.store(word_of(State::idle));
        break;
      default:
        part = Part::unknown;
        own.word.store(word_of(State::idle));
    }
    if (part) return *part;
  }
}

/// Somebody was stopped while it wrote an answer that was given up, and may yet go on.
bool Combining::is_stuck(std::uint32_t word) {
  const TimePoint now = Clock::now();
  if (state_of(word) != State::writing) {
    stuck_since_.reset();
    return false;
  }
  if (!stuck_since_) stuck_since_ = now;
  return now - *stuck_since_ < kStuckFor;
}

std::optional<Combining::Part> Combining::wait_for_turn(std::uint32_t word, bool withdraw) {
  PublishedClaim& own = of(slot_);
  auto& bits = bits_of(board_.fleet(), slot_);
  withdraw = withdraw || Clock::now() >= wait_until_;
  if (withdraw || take_turn()) {
    if (own.word.compare_exchange_strong(word, word_of(State::idle))) {
      bits.fetch_and(~bit_of(slot_));
      return withdraw ? Part::alone : Part::combines;
    }
    end();  // somebody has just taken it along
    return std::nullopt;
  }
  // Again: whoever wanted to take it along may have died over it.
  bits.fetch_or(bit_of(slot_));
  wait(word);
  return std::nullopt;
}

void Combining::wait(std::uint32_t word) {
  futex_wait(of(slot_).word, word, look_);
  look_ = std::min(2 * look_, kLastClaimLook);
}

/// For a moment. It is given up when the combiner is dead, or takes too long.
std::optional<Combining::Part> Combining::wait_for_combiner(std::uint32_t word) {
  PublishedClaim& own = of(slot_);
  if (combiner_ != hand_of(word)) {
    combiner_ = hand_of(word);
    wait_until_ = Clock::now() + kSiblingPatience;
  }
  const bool alive = lives(board_, hand_of(word));
  if (alive && Clock::now() < wait_until_) {
    wait(word);
    return std::nullopt;
  }
  // What is being written stays in the hand of whoever writes: see is_stuck().
  if (alive && state_of(word) == State::writing) return Part::unknown;
  if (!own.word.compare_exchange_strong(word, word_of(State::idle))) return std::nullopt;
  return Part::unknown;
}

std::span<const OneClaim> Combining::gather(bool linger) {
  FleetBoard& board = board_.fleet();
  if (linger) {
    const TimePoint until = Clock::now() + kLinger;
    const std::size_t expected =
        std::min<std::size_t>(published(board) + board.combined.load(), kMostClaims);
    while (published(board) + 1 < expected && Clock::now() < until) ::sched_yield();
  }
  gathered_.assign(1, own_);
  slots_.clear();
  const auto word = word_of(State::taken, hand_);
  // On from where the last one came to, so that everybody's turn comes.
  int from = static_cast<int>(board.gathered_to.load() % kMaxConsumers);
  const int end = from + kMaxConsumers;
  while (gathered_.size() < kMostClaims) {
    const auto slot = take_next(from, end, word);
    if (!slot) break;
    const OneClaim claim = of(*slot).claim;
    std::atomic_thread_fence(std::memory_order_acquire);
    // Given up in between, and published anew: that is not the one that we took.
    if (of(*slot).word.load() != word) continue;
    if (!may_take_along(*slot, claim)) {
      auto taken = word;
      of(*slot).word.compare_exchange_strong(taken, word_of(State::unknown));
      continue;
    }
    slots_.push_back(*slot);
    gathered_.push_back(claim);
  }
  board.gathered_to.store(static_cast<std::uint32_t>(from));
  board.combined.store(static_cast<std::uint32_t>(gathered_.size()));
  return gathered_;
}

/// Anything may stand there: no two are to get the same token.
bool Combining::may_take_along(int slot, const OneClaim& claim) const {
  return slot != slot_ && claim.token != 0 &&
         std::none_of(gathered_.begin(), gathered_.end(),
                      [&](const OneClaim& other) { return other.token == claim.token; });
}

/// Puts `word` on the next published claim of the slots from `from` to `end`, both modulo all
/// slots, and moves `from` behind it.
std::optional<int> Combining::take_next(int& from, int end, std::uint32_t word) {
  FleetBoard& board = board_.fleet();
  for (; from < end; ++from) {
    const int slot = from % kMaxConsumers;
    auto& bits = bits_of(board, slot);
    if (slot % 64 == 0 && bits.load() == 0) {
      from += 63;
      continue;
    }
    if ((bits.load() & bit_of(slot)) == 0) continue;
    bits.fetch_and(~bit_of(slot));
    const bool lives = board_.slot(slot).beat.load() != 0;
    auto published = word_of(State::published);
    const auto next = lives ? word : word_of(State::idle);
    if (!of(slot).word.compare_exchange_strong(published, next) || !lives) continue;
    ++from;
    return slot;
  }
  return std::nullopt;
}

std::vector<Message> Combining::answer_all(std::vector<Message> messages, bool look_again) {
  std::vector<Message> left;
  std::vector<bool> answered(slots_.size());
  for (Message& message : messages) {
    const auto with_token = [&](const OneClaim& claim) {
      return claim.token == message.lease.token;
    };
    const auto claim = std::find_if(gathered_.begin() + 1, gathered_.end(), with_token);
    const auto index = static_cast<std::size_t>(claim - gathered_.begin()) - 1;
    if (claim == gathered_.end() || !write(slots_[index], *claim, &message, look_again)) {
      left.push_back(std::move(message));
    } else {
      answered[index] = true;
    }
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!answered[i]) write(slots_[i], gathered_[i + 1], nullptr, look_again);
  }
  slots_.clear();
  end();
  return left;
}

/// False when that sibling has given up.
bool Combining::write(int slot, const OneClaim& claim, const Message* message, bool look_again) {
  PublishedClaim& its = of(slot);
  auto taken = word_of(State::taken, hand_);
  if (!its.word.compare_exchange_strong(taken, word_of(State::writing, hand_))) return false;
  write_answer(its.answer, claim.token, message, look_again);
  auto writing = word_of(State::writing, hand_);
  its.word.compare_exchange_strong(writing, word_of(State::answered));
  futex_wake(its.word);
  return true;
}

void Combining::fail_all(bool unknown) {
  for (const int slot : std::exchange(slots_, {})) {
    auto taken = word_of(State::taken, hand_);
    if (of(slot).word.compare_exchange_strong(taken,
                                              word_of(unknown ? State::unknown : State::failed))) {
      futex_wake(of(slot).word);
    }
  }
  end();
}

void Combining::end() {
  if (!slots_.empty()) return fail_all(true);
  while (turn_) {
    if (hand_over_turn()) return;
    release_turn();
    // Who published in between has seen that the turn was taken.
    if (published(board_.fleet()) > 0) take_turn();
  }
}

bool Combining::take_turn() {
  const auto now_ms = to_ms(Clock::now());
  auto& turns = board_.fleet().combining_until_ms;
  const std::size_t open = 1 + published(board_.fleet()) / kWaitingForAnother;
  for (std::size_t i = 0; i < std::min(turns.size(), open); ++i) {
    auto until_ms = turns[i].load();
    if (until_ms > now_ms && until_ms <= now_ms + turn_length_.count()) continue;
    if (!turns[i].compare_exchange_strong(until_ms, now_ms + turn_length_.count())) continue;
    turn_ = {i, now_ms + turn_length_.count()};
    return true;
  }
  return false;
}

void Combining::release_turn() {
  auto until_ms = turn_->until_ms;
  board_.fleet().combining_until_ms[turn_->index].compare_exchange_strong(until_ms, 0);
  turn_.reset();
}

/// To the same ones most often: theirs are then the sessions that have all at hand. True when it is
/// somebody else's now.
bool Combining::hand_over_turn() {
  auto& until_ms = board_.fleet().combining_until_ms[turn_->index];
  auto before = turn_->until_ms;
  turn_->until_ms = to_ms(Clock::now() + turn_length_);
  if (!until_ms.compare_exchange_strong(before, turn_->until_ms)) {
    turn_.reset();  // it took too long
    return true;
  }
  int from = 0;
  const auto slot = take_next(from, kMaxConsumers, word_of(State::writing, hand_));
  if (!slot) return false;
  of(*slot).turn = static_cast<std::uint32_t>(turn_->index);
  of(*slot).turn_until_ms = turn_->until_ms;
  turn_.reset();
  auto writing = word_of(State::writing, hand_);
  of(*slot).word.compare_exchange_strong(writing, word_of(State::combines));
  futex_wake(of(*slot).word);
  return true;
}

void forget_published_claim(Scoreboard& board, int slot) {
  auto& word = board.published_claim(slot).word;
  auto before = word.load();
  // Not what somebody is about to write: that comes to an end by itself.
  while ((state_of(before) == State::published || state_of(before) == State::taken) &&
         !word.compare_exchange_weak(before, word_of(State::idle))) {
  }
}

}  // namespace pgforeman
