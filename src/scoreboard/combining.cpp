#include "scoreboard/combining.h"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <string_view>
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
/// A turn that is not ended is over after so long.
constexpr Millis kCombiningTurn{50};
/// How often a claim that nobody has in hand looks for a turn, and one that somebody has whether
/// that one is alive.
constexpr Millis kClaimLook{5};
/// Longer than that no claim waits for another consumer, which may have been stopped.
constexpr Millis kSiblingPatience{3000};
/// Whoever was stopped while it claimed has been killed by then.
constexpr Millis kStuckFor{60'000};

std::uint32_t word_of(State state, int slot = 0) {
  return static_cast<std::uint32_t>(slot) << 8U | static_cast<std::uint32_t>(state);
}

State state_of(std::uint32_t word) {
  return static_cast<State>(word & 0xffU);
}

/// Anything may stand there.
int combiner_of(std::uint32_t word) {
  return static_cast<int>(std::min<std::uint32_t>(word >> 8U, kMaxConsumers - 1));
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

/// Of the answer as it stands there; of none that could stand there when its sizes cannot be.
std::optional<std::uint64_t> seal_of(const PublishedClaim& its) {
  const auto& head = its.head;
  const auto room = static_cast<std::int64_t>(its.text.size());
  if (head.payload_size < 0 || head.payload_size > room || head.headers_size < 0 ||
      head.headers_size > room - head.payload_size) {
    return std::nullopt;
  }
  const std::hash<std::string_view> hash;
  const auto size = static_cast<std::size_t>(head.payload_size + head.headers_size);
  return 31 * hash({reinterpret_cast<const char*>(&head), sizeof head}) +
         hash({its.text.data(), size});
}

}  // namespace

PublishedClaim& Combining::of(int slot) {
  return board_.published_claim(slot);
}

Combining::Part Combining::publish(const OneClaim& claim) {
  PublishedClaim& own = of(slot_);
  own_ = claim;
  combiner_ = -1;
  auto before = own.word.load();
  do {
    if (is_stuck(before)) return Part::alone;
  } while (!own.word.compare_exchange_weak(before, word_of(State::idle)));
  own.claim = claim;
  own.word.store(word_of(State::published));
  bits_of(board_.fleet(), slot_).fetch_or(bit_of(slot_));
  while (true) {
    auto word = own.word.load();
    switch (state_of(word)) {
      case State::published:
        if (!take_turn()) {
          futex_wait(own.word, word, kClaimLook);
        } else if (own.word.compare_exchange_strong(word, word_of(State::idle))) {
          bits_of(board_.fleet(), slot_).fetch_and(~bit_of(slot_));
          return Part::combines;
        } else {
          end();  // somebody has just taken it along
        }
        break;
      case State::taken:
      case State::writing:
        if (!wait_for_combiner(word) && give_up(word)) return Part::unknown;
        break;
      case State::combines: {
        const auto index =
            std::min<std::size_t>(own.turn, board_.fleet().combining_until_ms.size() - 1);
        turn_ = {index, board_.fleet().combining_until_ms[index].load()};
        own.word.store(word_of(State::idle));
        return Part::combines;
      }
      case State::answered:
        if (own.head.token == claim.token && seal_of(own) == own.seal) return Part::answered;
        own.word.store(word_of(State::idle));
        return Part::unknown;
      case State::failed:
        own.word.store(word_of(State::idle));
        return Part::failed;
      default:
        own.word.store(word_of(State::idle));
        return Part::unknown;
    }
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

/// For a moment; false when it is dead, or takes too long.
bool Combining::wait_for_combiner(std::uint32_t word) {
  const Slot& slot = board_.slot(combiner_of(word));
  const TimePoint now = Clock::now();
  if (combiner_ != combiner_of(word)) {
    combiner_ = combiner_of(word);
    combiner_epoch_ = slot.epoch.load();
    wait_until_ = now + kSiblingPatience;
  }
  // The supervisor writes both as soon as it is dead.
  const bool alive = slot.beat.load() != 0 && slot.epoch.load() == combiner_epoch_;
  if (!alive || now >= wait_until_) return false;
  futex_wait(of(slot_).word, word, kClaimLook);
  return true;
}

/// False when there is an answer after all.
bool Combining::give_up(std::uint32_t word) {
  // What is being written stays in the hand of whoever writes: see is_stuck().
  if (state_of(word) == State::writing) return of(slot_).word.load() == word;
  return of(slot_).word.compare_exchange_strong(word, word_of(State::idle));
}

Combining::Answer Combining::answer() {
  PublishedClaim& own = of(slot_);
  const auto head = own.head;
  Answer answer;
  answer.look_again = head.look_again != 0;
  answer.fits = head.fits != 0;
  if (head.id != 0) {
    Message& message = answer.message.emplace();
    message.lease = {head.id, head.token};
    message.lane = static_cast<int>(head.lane);
    message.attempt = static_cast<int>(head.attempt);
    message.fence = head.fence;
    message.fruitless = head.fruitless;
    message.enqueued_at = std::chrono::sys_time<std::chrono::microseconds>{
        std::chrono::microseconds{head.enqueued_us}};
    const auto payload = static_cast<std::size_t>(head.payload_size);
    message.payload.assign(own.text.data(), payload);
    message.headers.assign(own.text.data() + payload, static_cast<std::size_t>(head.headers_size));
  }
  own.word.store(word_of(State::idle));
  return answer;
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
  const auto word = word_of(State::taken, slot_);
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
    gathered_.push_back(claim);
    slots_.push_back(*slot);
  }
  board.gathered_to.store(static_cast<std::uint32_t>(from));
  board.combined.store(static_cast<std::uint32_t>(gathered_.size()));
  return gathered_;
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
    auto published = word_of(State::published);
    if (!of(slot).word.compare_exchange_strong(published, word)) continue;
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
  auto taken = word_of(State::taken, slot_);
  if (!its.word.compare_exchange_strong(taken, word_of(State::writing, slot_))) return false;
  PublishedClaim::Head head{};
  head.token = claim.token;
  head.look_again = look_again ? 1 : 0;
  if (message != nullptr) {
    const std::string_view payload = message->payload, headers = message->headers;
    head.id = message->lease.id;
    head.lane = message->lane;
    head.attempt = message->attempt;
    head.fence = message->fence;
    head.fruitless = message->fruitless;
    head.enqueued_us = message->enqueued_at.time_since_epoch().count();
    if (payload.size() + headers.size() <= its.text.size()) {
      head.fits = 1;
      head.payload_size = static_cast<std::int64_t>(payload.size());
      head.headers_size = static_cast<std::int64_t>(headers.size());
      headers.copy(payload.copy(its.text.data(), payload.size()) + its.text.data(), headers.size());
    }
  }
  its.head = head;
  its.seal = seal_of(its).value_or(0);
  auto writing = word_of(State::writing, slot_);
  its.word.compare_exchange_strong(writing, word_of(State::answered));
  futex_wake(its.word);
  return true;
}

void Combining::fail_all(bool unknown) {
  for (const int slot : std::exchange(slots_, {})) {
    auto taken = word_of(State::taken, slot_);
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
    if (until_ms > now_ms && until_ms <= now_ms + kCombiningTurn.count()) continue;
    if (!turns[i].compare_exchange_strong(until_ms, now_ms + kCombiningTurn.count())) continue;
    turn_ = {i, now_ms + kCombiningTurn.count()};
    return true;
  }
  return false;
}

void Combining::release_turn() {
  auto until_ms = turn_->until_ms;
  board_.fleet().combining_until_ms[turn_->index].compare_exchange_strong(until_ms, 0);
  turn_.reset();
}

/// To the same ones most often: theirs are then the sessions that have all at hand.
bool Combining::hand_over_turn() {
  int from = 0;
  const auto slot = take_next(from, kMaxConsumers, word_of(State::writing, slot_));
  if (!slot) return false;
  board_.fleet().combining_until_ms[turn_->index].store(to_ms(Clock::now() + kCombiningTurn));
  of(*slot).turn = static_cast<std::uint32_t>(turn_->index);
  turn_.reset();
  auto writing = word_of(State::writing, slot_);
  of(*slot).word.compare_exchange_strong(writing, word_of(State::combines));
  futex_wake(of(*slot).word);
  return true;
}

void forget_published_claim(Scoreboard& board, int slot) {
  auto published = word_of(State::published);
  board.published_claim(slot).word.compare_exchange_strong(published, word_of(State::idle));
}

}  // namespace pgforeman
