#include "scoreboard/waker.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>

#include "scoreboard/scoreboard.h"

namespace pgforeman {
namespace {

/// By then a consumer that heard its bell has taken its wake-up.
constexpr Millis kOnTheWay{10};
/// For so long a woken consumer may wake another one or pass its wake-up on.
constexpr Millis kPassedOn{100};

std::size_t bell_index(int slot) {
  return static_cast<std::size_t>(slot) % kBells;
}

/// Which rang and were not heard yet.
std::array<bool, kBells> unheard(const Bells& bells) {
  std::array<struct pollfd, kBells> polled{};
  for (std::size_t i = 0; i < kBells; ++i) polled[i] = {bells[i], POLLIN, 0};
  std::array<bool, kBells> unheard{};
  if (::poll(polled.data(), polled.size(), 0) <= 0) return unheard;
  for (std::size_t i = 0; i < kBells; ++i) unheard[i] = (polled[i].revents & POLLIN) != 0;
  return unheard;
}

}  // namespace

template <typename With>
void Waker::each_waiting(With&& with) const {
  for (int i = 0; i < kMaxConsumers; ++i) {
    const Slot& slot = context_.scoreboard->slot(i);
    if (slot.epoch.load() == 0) return;  // slots are taken in order
    if (Beat{slot.beat.load()}.phase() == Phase::waiting && !with(i, slot)) return;
  }
}

int Waker::waiting() const {
  int waiting = 0;
  each_waiting([&](int, const Slot&) {
    ++waiting;
    return true;
  });
  return waiting;
}

void Waker::wake_for(std::int64_t messages) {
  if (messages <= 0) return;
  std::uint32_t needed = 0;
  each_waiting([&](int, const Slot& slot) {
    if (slot.listens.load() == 0) return true;
    ++needed;
    messages -= std::max<std::int64_t>(1, slot.batch.load());
    return messages > 0;
  });
  // A consumer may have looked just before, and be about to wait.
  if (messages > 0) ++needed;
  auto& wake_ups = context_.scoreboard->queue().news.wake_ups;
  auto before = wake_ups.load();
  while ((before < needed || before > kMaxConsumers) &&
         !wake_ups.compare_exchange_weak(before, needed)) {
  }
  ring(needed);
  const TimePoint now = Clock::now();
  next_ = now + kOnTheWay;
  until_ = now + kPassedOn;
}

void Waker::wake_one() {
  context_.scoreboard->queue().news.wake_ups.fetch_add(1);
  ring(1);
}

bool Waker::take() {
  auto& wake_ups = context_.scoreboard->queue().news.wake_ups;
  auto before = wake_ups.load();
  // Anything may stand there: a count above that of consumers is none.
  while (before != 0) {
    const auto left = before > kMaxConsumers ? 0 : before - 1;
    if (wake_ups.compare_exchange_weak(before, left)) return true;
  }
  return false;
}

void Waker::run_once() {
  const TimePoint now = Clock::now();
  if (now < next_) return;
  const auto left = context_.scoreboard->queue().news.wake_ups.load();
  if (left != 0 && ring(left)) until_ = now + kPassedOn;
  next_ = now < until_ ? now + kOnTheWay : TimePoint::max();
}

/// For so many of those that wait, the lowest slots first: their sessions have most at hand. Bells
/// that rang before and were not heard are left out. False when none is left.
bool Waker::ring(std::uint32_t count) {
  std::array<bool, kBells> rings{};
  const auto skipped = unheard(context_.bells);
  bool any = false;
  each_waiting([&](int index, const Slot& slot) {
    const std::size_t bell = bell_index(index);
    if (count == 0) return false;
    if (slot.listens.load() == 0 || skipped[bell]) return true;
    any = rings[bell] = true;
    return --count > 0;
  });
  for (std::size_t i = 0; i < kBells; ++i) {
    if (rings[i]) ::eventfd_write(context_.bells[i], 1);
  }
  return any;
}

int Waker::bell_of(const ChildContext& context, int slot) {
  return context.bells[bell_index(slot)];
}

}  // namespace pgforeman
