#include "fleet/wakeups.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>

#include "fleet/scoreboard.h"

namespace pgforeman {
namespace {

/// By then a notified consumer has taken its wake-up.
constexpr Millis kOnTheWay{10};
/// For so long a woken consumer may wake another one or pass its wake-up on.
constexpr Millis kPassedOn{100};

std::size_t wakeup_fd_index(int slot) {
  return static_cast<std::size_t>(slot) % kWakeupFds;
}

/// The wakeup fds that were written and not read yet.
std::array<bool, kWakeupFds> unread(const WakeupFds& wakeup_fds) {
  std::array<struct pollfd, kWakeupFds> polled{};
  for (std::size_t i = 0; i < kWakeupFds; ++i) polled[i] = {wakeup_fds[i], POLLIN, 0};
  std::array<bool, kWakeupFds> unread{};
  if (::poll(polled.data(), polled.size(), 0) <= 0) return unread;
  for (std::size_t i = 0; i < kWakeupFds; ++i) unread[i] = (polled[i].revents & POLLIN) != 0;
  return unread;
}

}  // namespace

template <typename With>
void Wakeups::each_waiting(With&& with) const {
  for (int i = 0; i < kMaxConsumers; ++i) {
    const Slot& slot = context_.scoreboard->slot(i);
    if (slot.epoch.load() == 0) return;  // slots are taken in order
    if (Beat{slot.beat.load()}.phase() == Phase::waiting && !with(i, slot)) return;
  }
}

int Wakeups::waiting() const {
  int waiting = 0;
  each_waiting([&](int, const Slot&) {
    ++waiting;
    return true;
  });
  return waiting;
}

void Wakeups::wake(std::int64_t messages) {
  if (messages <= 0) return;
  std::uint32_t needed = 0;
  each_waiting([&](int, const Slot& slot) {
    if (slot.awaits_wakeup.load() == 0) return true;
    ++needed;
    messages -= std::max<std::int64_t>(1, slot.batch.load());
    return messages > 0;
  });
  // A consumer may have found nothing just before, and be about to wait.
  if (messages > 0) ++needed;
  context_.scoreboard->queue().wakeups.raise(needed);
  notify(needed);
  const TimePoint now = Clock::now();
  next_ = now + kOnTheWay;
  until_ = now + kPassedOn;
}

void Wakeups::wake_one() {
  context_.scoreboard->queue().wakeups.add_one();
  notify(1);
}

void Wakeups::run_once() {
  const TimePoint now = Clock::now();
  if (now < next_) return;
  const auto left = context_.scoreboard->queue().wakeups.pending();
  if (left != 0 && notify(left)) until_ = now + kPassedOn;
  next_ = now < until_ ? now + kOnTheWay : TimePoint::max();
}

/// Notifies `count` waiting consumers, the lowest slots first: their sessions have the most cached.
/// Leaves out wakeup fds that were written before and not read. False if none is left.
bool Wakeups::notify(std::uint32_t count) {
  std::array<bool, kWakeupFds> notified{};
  const auto skipped = unread(context_.wakeup_fds);
  bool any = false;
  each_waiting([&](int index, const Slot& slot) {
    const std::size_t fd = wakeup_fd_index(index);
    if (count == 0) return false;
    if (slot.awaits_wakeup.load() == 0 || skipped[fd]) return true;
    any = notified[fd] = true;
    return --count > 0;
  });
  for (std::size_t i = 0; i < kWakeupFds; ++i) {
    if (notified[i]) ::eventfd_write(context_.wakeup_fds[i], 1);
  }
  return any;
}

int Wakeups::wakeup_fd_of(const ChildContext& context, int slot) {
  return context.wakeup_fds[wakeup_fd_index(slot)];
}

}  // namespace pgforeman
