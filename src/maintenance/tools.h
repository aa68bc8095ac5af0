#pragma once
// What every duty of the maintenance process works with. Fork: after.

#include "child/child_loop.h"
#include "child/session.h"
#include "scoreboard/wakeups.h"

namespace pgforeman {

struct MaintenanceTools {
  const ChildContext& context;
  ChildLoop& loop;
  Session& session;
  Wakeups& wakeups;
};

}  // namespace pgforeman
