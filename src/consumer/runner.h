#pragma once
// Runs a consumer's messages by its handler, one at a time, and watches handler and leases while
// one runs. Owns the handler. Fork: after.

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "consumer/handler_watch.h"
#include "consumer/lease_keeper.h"
#include "consumer/recycling.h"
#include "consumer/settler.h"
#include "consumer/tools.h"
#include "handlers/handler.h"
#include "system/child_exit.h"
#include "system/oom_kills.h"

namespace pgforeman {

class Runner {
 public:
  Runner(const ConsumerTools& tools, LedgerWriter& ledger, Settler& settler, LeaseKeeper& leases,
         HandlerWatch& watch);

  /// Starts a long-lived handler unless it runs. False if it does not start: call again later. If a
  /// start failed since the last call, first waits with a backoff. Calls `before_wait` before that
  /// wait, and also if the start fails.
  bool open(const std::function<void()>& before_wait);
  /// True if a start of the handler failed since the last open().
  bool fails_to_start() const { return handler_->failed_starts() > failed_starts_; }
  /// True if the handler's last start failed, also before the last open().
  bool is_failing() const { return handler_->failed_starts() > 0; }
  /// Runs the message until it has an outcome.
  void run(std::size_t index);
  /// True if the rest of the batch must be released: under BATCH=auto, after 250 ms of handling.
  bool held_long_enough() const;
  /// Call when a new batch was claimed.
  void begin_batch() { handled_for_ = {}; }
  /// Call between messages. Begins a drain if this child holds more than MAX_MEMORY.
  void check_limits(TimePoint now) { recycling_.measure(now, pids()); }
  /// Ends a long-lived handler and all processes that handlers left behind.
  void close();

 private:
  /// The stops that the running handler was sent.
  struct Stops {
    bool shutdown = false, hurried = false, lease_lost = false;
  };

  bool read_payload(std::size_t index);
  Outcome handle(std::size_t index, TimePoint started_at);
  Outcome unless_signalled(Outcome outcome, TimePoint started_at);
  void stop_for_drain(Stops& sent);
  void check_memory(std::int64_t most);
  std::vector<pid_t> pids() const;
  void end_orphans();

  const ConsumerTools& tools_;
  LedgerWriter& ledger_;
  Settler& settler_;
  LeaseKeeper& leases_;
  HandlerWatch& watch_;
  OomWatch oom_;
  Recycling recycling_;
  std::unique_ptr<Handler> handler_;
  ProcessHandler* processes_ = nullptr;  ///< the same handler if it runs programs
  int failed_starts_ = 0;                ///< in a row, as of the last open()
  Clock::duration handled_for_{};        ///< time that the handler took for the batch
};

}  // namespace pgforeman
