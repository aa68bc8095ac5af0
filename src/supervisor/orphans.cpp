#include "supervisor/orphans.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "system/log.h"
#include "system/origin.h"

namespace pgforeman {
namespace {

std::string program_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

bool contains(std::span<const pid_t> pids, pid_t pid) {
  return std::find(pids.begin(), pids.end(), pid) != pids.end();
}

}  // namespace

Orphans::Orphans() {
  open_child_list();
  spared_ = children_now();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

CleanUp Orphans::end(const std::function<bool(pid_t)>& is_own, std::span<const pid_t> sessions,
                     Millis patience) {
  return kill_children(
      [&](pid_t pid) {
        if (is_own(pid) || contains(spared_, pid)) return false;  // proves: P9
        if (has_fleet_mark(pid) || contains(sessions, ::getsid(pid)) || has_fleet_variable(pid)) {
          return true;
        }
        if (has_ended(pid)) return true;  // a zombie: needs only to be reaped
        spared_.push_back(pid);
        log::info("orphan left alone, no handler started it",
                  {{"orphan_pid", pid}, {"program", program_of(pid)}});
        return false;  // proves: P18 spared
      },
      patience);
}

void Orphans::reaped(pid_t pid) {
  std::erase(spared_, pid);
}

}  // namespace pgforeman
