#pragma once
// What every duty of the maintenance process works with. Fork: after.

#include <string>

#include "fleet/wakeups.h"
#include "process/child_loop.h"
#include "process/session.h"

namespace pgforeman {

struct MaintenanceTools {
  const ChildContext& context;
  ChildLoop& loop;
  Session& session;
  Wakeups& wakeups;

  /// Publishes and logs that a duty failed; once a minute for each reason.
  void duty_failed(Duty duty, const std::string& reason) const;

  FleetBoard& fleet() const { return context.scoreboard->fleet(); }
  QueueBoard& queue() const { return context.scoreboard->queue(); }
};

}  // namespace pgforeman
