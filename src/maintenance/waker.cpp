#include "maintenance/waker.h"

#include <sys/eventfd.h>

#include "scoreboard/scoreboard.h"

namespace pgforeman {

void Waker::wake_for(std::int64_t messages) {
  std::int64_t waiting = 0;
  for (int i = 0; i < kMaxConsumers && waiting < messages; ++i) {
    const Slot& slot = context_.scoreboard->slot(i);
    if (slot.epoch.load() == 0) break;  // slots are taken in order
    if (Beat{slot.beat.load()}.phase() == Phase::waiting) ++waiting;
  }
  eventfd_t left = 0;
  while (::eventfd_read(context_.wake_fd, &left) == 0) {
  }
  if (waiting > 0) ::eventfd_write(context_.wake_fd, static_cast<eventfd_t>(waiting));
}

}  // namespace pgforeman
