#include "handlers/process_group.h"

#include <signal.h>

#include <algorithm>

namespace pgforeman {

void kill_group(pid_t group) {
  if (group > 1) ::kill(-group, SIGKILL);
}

void GroupEnder::begin(pid_t group, int signal, Millis grace) {
  if (group <= 1) return;
  ::kill(-group, signal);
  kill_after(group, grace);
}

void GroupEnder::kill_after(pid_t group, Millis grace) {
  if (begun_) {
    const auto left = std::chrono::duration_cast<Millis>(kill_timer_.expiry() - Clock::now());
    grace = std::min(grace, std::max(left, Millis{0}));
  }
  begun_ = true;
  kill_timer_.start(grace, [group] { kill_group(group); });
}

void GroupEnder::cancel() {
  begun_ = false;
  kill_timer_.cancel();
}

}  // namespace pgforeman
