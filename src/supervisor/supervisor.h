#pragma once
// The parent of the fleet: forks, watches, reaps, replaces, drains; answers probes from memory.
//
// One thread, one loop, no database connection. It blocks only to end the processes of a dead
// child, 50 ms at a time. Policy decides; the supervisor carries out its actions. Start at run().
// Fork: it is the one that forks; children never touch it.

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fleet/child_context.h"
#include "fleet/scoreboard.h"
#include "options/load.h"
#include "options/options.h"
#include "pgforeman/exit_code.h"
#include "supervisor/fleet_report.h"
#include "supervisor/ledger_pool.h"
#include "supervisor/orphans.h"
#include "supervisor/policy.h"
#include "system/child_exit.h"
#include "system/fd.h"
#include "system/oom_kills.h"
#include "system/signals.h"

namespace pgforeman {

class Endpoint;

/// What the supervisor is given, so that it needs to know neither queue nor handlers.
struct ChildEntryPoints {
  using Main = void (*)(const ChildContext&) noexcept;
  Main consumer = nullptr;
  Main maintenance = nullptr;
  std::function<LoadResult()> reload;  ///< reads the options again (HUP)
};

class Supervisor {
 public:
  /// Binds the endpoint (throws std::system_error when it cannot). All signals must be blocked.
  Supervisor(Options options, ChildEntryPoints mains);
  ~Supervisor();

  /// Serves until drained. Returns ok, or cannot_fork when no first fleet came up.
  ExitCode run();

 private:
  /// A dead consumer's ledger that maintenance does not have yet: its handlers may still run.
  struct LateLedger {
    LedgerId ledger;
    Death death;
    pid_t consumer;
    TimePoint until;
  };

  void wait_for_signals();
  void wait_for_tick();
  void handle_signal(int signal);
  void step();
  void end_refused_noop();
  void apply(const Action& action);
  void fork_into(int slot);
  void signal_child(const Action& action);
  void reap();
  void on_exit(int slot, ChildExit exit, std::span<const ChildExit> from_handlers);
  void sign_off_ledger(Child& child, const ChildExit& exit, const ExitVerdict& verdict,
                       std::span<const ChildExit> from_handlers);
  void hand_over_ledgers(bool gone);
  int slot_of(pid_t pid) const;
  void reload();
  void resize(int by);

  Options options_;
  ChildEntryPoints mains_;
  Orphans orphans_;
  std::unique_ptr<Scoreboard> scoreboard_;
  LedgerPool ledgers_;
  std::vector<LateLedger> late_ledgers_;
  OomWatch oom_;
  std::array<UniqueFd, kWakeupFds> wakeup_fds_;
  UniqueFd maintenance_fd_;
  Policy policy_;
  FleetTable table_;
  FleetReport report_;
  std::uint64_t fleet_id_;
  int interrupts_ = 0;
  bool finished_ = false;
  bool due_ = false;  ///< a signal came, or it is time for a tick

  boost::asio::io_context io_;
  boost::asio::posix::stream_descriptor signals_;
  boost::asio::steady_timer tick_;
  std::unique_ptr<Endpoint> endpoint_;
};

}  // namespace pgforeman
