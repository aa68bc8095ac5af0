#include "scoreboard/waker.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "scoreboard/scoreboard.h"

namespace pgforeman {
namespace {

/// Who has not come after so long may have been stopped, or killed.
constexpr Millis kOnTheWay{10};

std::size_t semaphore_of(int slot) {
  return static_cast<std::size_t>(slot) % kWakeFds;
}

using Pending = std::array<bool, kWakeFds>;

/// Which semaphores have a unit that nobody has taken yet.
Pending pending_units(const WakeFds& fds) {
  std::array<struct pollfd, kWakeFds> polled{};
  for (std::size_t i = 0; i < fds.size(); ++i) polled[i] = {fds[i], POLLIN, 0};
  Pending pending{};
  if (::poll(polled.data(), polled.size(), 0) <= 0) return pending;
  for (std::size_t i = 0; i < fds.size(); ++i) pending[i] = (polled[i].revents & POLLIN) != 0;
  return pending;
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
  const Pending pending = pending_units(context_.wake_fds);
  const TimePoint now = Clock::now();
  Pending counted{};
  std::array<eventfd_t, kWakeFds> units{};
  each_waiting([&](int index, const Slot& slot) {
    const std::size_t of = semaphore_of(index);
    const auto takes = std::max<std::int64_t>(1, slot.batch.load());
    if (!pending[of]) {
      ++units[of];
      messages -= takes;
    } else if (!std::exchange(counted[of], true) && now - given_at_[of] < kOnTheWay) {
      messages -= takes;
    }
    return messages > 0;
  });
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (units[i] == 0) continue;
    ::eventfd_write(context_.wake_fds[i], units[i]);
    given_at_[i] = now;
  }
}

int Waker::watched_by(const ChildContext& context, int slot) {
  return context.wake_fds[semaphore_of(slot)];
}

}  // namespace pgforeman
