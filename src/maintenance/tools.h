#pragma once
// What every duty of the maintenance process works with. Fork: after.

#include "fleet/wakeups.h"
#include "process/child_loop.h"
#include "process/session.h"

namespace pgforeman {

struct MaintenanceTools {
  const ChildContext& context;
  ChildLoop& loop;
  Session& session;
  Wakeups& wakeups;

  FleetBoard& fleet() const { return context.scoreboard->fleet(); }
  QueueBoard& queue() const { return context.scoreboard->queue(); }
};

}  // namespace pgforeman
