#pragma once
// The maintenance child, for work that is needed once a fleet. Its duties are members of
// Maintenance: small services, each with a time of its own and a run_once(). Without this child the
// fleet works on, more slowly: consumers renew and poll by themselves, and a dead consumer's
// messages are claimable again when their leases end. Fork: after.

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "maintenance/duty_rest.h"
#include "maintenance/listener.h"
#include "maintenance/notifier.h"
#include "maintenance/renewal.h"
#include "maintenance/rescue.h"
#include "maintenance/scheduler.h"
#include "maintenance/sweeper.h"
#include "maintenance/tools.h"

namespace pgforeman {

/// Runs the maintenance child from its start to its exit.
[[noreturn]] void maintenance_main(const ChildContext& context) noexcept;

class Maintenance {
 public:
  explicit Maintenance(const ChildContext& context);

  /// Runs until a drain begins, then rescues once more. When the fleet stops it rescues until
  /// nothing is left or the fleet's time is over.
  void run();

 private:
  void work();
  template <typename Work>
  void run(Duty duty, Work&& work);
  TimePoint due(Duty duty, TimePoint next);
  TimePoint longest_wait() const;
  DutyRest& rest_of(Duty duty) { return rests_[static_cast<std::size_t>(duty)]; }
  bool take_notifications();
  void wait_for_work();
  void last_rescue();
  void save_marks();

  const ChildContext& context_;
  ChildLoop loop_;
  Session session_;
  Wakeups wakeups_;
  MaintenanceTools tools_;
  Rescue rescue_;
  Renewal renewal_;
  Listener listener_;
  Sweeper sweeper_;
  Refusals refusals_;  ///< of scheduled messages
  Notifier notifier_;
  Scheduler scheduler_;
  boost::asio::posix::stream_descriptor calls_;
  TimePoint may_sweep_at_;
  std::array<DutyRest, kDuties> rests_;
};

}  // namespace pgforeman
