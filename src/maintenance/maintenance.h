#pragma once
// The fleet's one extra child: what is needed once a fleet, not once a consumer. Its duties are
// small services, each with its own time and a run_once(): the members of Maintenance. The fleet
// works on without it, more slowly: consumers renew and poll by themselves, and what the dead held
// comes back by the visibility timeout. Fork: after.

#include <boost/asio/posix/stream_descriptor.hpp>

#include "maintenance/listener.h"
#include "maintenance/notifier.h"
#include "maintenance/renewal.h"
#include "maintenance/rescue.h"
#include "maintenance/scheduler.h"
#include "maintenance/sweeper.h"
#include "maintenance/tools.h"

namespace pgforeman {

/// The maintenance child's whole process.
[[noreturn]] void maintenance_main(const ChildContext& context) noexcept;

class Maintenance {
 public:
  explicit Maintenance(const ChildContext& context);

  /// Runs until a drain begins; then once more rescues what there is. When the fleet stops it keeps
  /// trying until there is nothing left or the fleet's time is over.
  void run();

 private:
  void work();
  void hear();
  void wait_for_work();
  void last_rescue();

  const ChildContext& context_;
  ChildLoop loop_;
  Session session_;
  Wakeups wakeups_;
  MaintenanceTools tools_;
  Rescue rescue_;
  Renewal renewal_;
  Listener listener_;
  Notifier notifier_;
  Sweeper sweeper_;
  Scheduler scheduler_;
  boost::asio::posix::stream_descriptor calls_;
  TimePoint may_sweep_at_;
};

}  // namespace pgforeman
