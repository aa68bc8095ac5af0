#include "maintenance/tools.h"

#include "system/log.h"

namespace pgforeman {

void MaintenanceTools::duty_failed(Duty duty, const std::string& reason) const {
  const TimePoint now = Clock::now();
  queue().duties.failed(duty, reason, now);
  // Consumers may log the same reason for themselves.
  const bool first = fleet().should_log(std::string(to_string(duty)) + ": " + reason, now);
  log::write(first ? log::Level::warn : log::Level::debug,
             "maintenance duty failed, will try again",
             {{"duty", to_string(duty)}, {"reason", reason}});
}

}  // namespace pgforeman
