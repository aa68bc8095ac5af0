#include "maintenance/waker.h"

#include <sys/eventfd.h>

#include <algorithm>

#include "scoreboard/scoreboard.h"

namespace pgforeman {

template <typename With>
void Waker::each_waiting(With&& with) const {
  for (int i = 0; i < kMaxConsumers; ++i) {
    const Slot& slot = context_.scoreboard->slot(i);
    if (slot.epoch.load() == 0) return;  // slots are taken in order
    if (Beat{slot.beat.load()}.phase() == Phase::waiting && !with(slot)) return;
  }
}

int Waker::waiting() const {
  int waiting = 0;
  each_waiting([&](const Slot&) {
    ++waiting;
    return true;
  });
  return waiting;
}

void Waker::wake_for(std::int64_t messages) {
  if (messages <= 0) return;
  eventfd_t wanted = 0, idle = 0;
  each_waiting([&](const Slot& slot) {
    ++idle;
    if (messages > 0) ++wanted;
    messages -= std::max<std::int64_t>(1, slot.batch.load());
    return true;
  });
  // Some may be on their way already, for other messages.
  eventfd_t unit = 0, before = 0;
  while (::eventfd_read(context_.wake_fd, &unit) == 0) before += unit;
  wanted = std::max(wanted, std::min(before, idle));
  if (wanted > 0) ::eventfd_write(context_.wake_fd, wanted);
}

}  // namespace pgforeman
