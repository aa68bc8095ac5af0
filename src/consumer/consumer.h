#pragma once
// A consumer: claims messages, runs them one at a time, in order, and settles each. A process of
// its own; it shares the scoreboard alone. Fork: after. Start reading at Consumer::run().

#include "consumer/batch.h"
#include "consumer/claimer.h"
#include "consumer/handler_watch.h"
#include "consumer/idle.h"
#include "consumer/lease_keeper.h"
#include "consumer/runner.h"
#include "consumer/settler.h"
#include "consumer/tools.h"
#include "consumer/vacuum_duty.h"

namespace pgforeman {

/// The consumer's whole process.
[[noreturn]] void consumer_main(const ChildContext& context) noexcept;

class Consumer {
 public:
  explicit Consumer(const ChildContext& context);
  /// Runs until a drain begins, then settles or releases what it holds.
  void run();

 private:
  void work();
  void vacuum();
  [[nodiscard]] bool claim();
  bool open_handler();
  void wait();
  void work_off_batch();
  void stand_alone(std::size_t index);
  bool exceeds_max_claims(std::size_t index);
  void hand_back();

  const ChildContext& context_;
  const Options& options_;
  ChildLoop loop_;
  Session session_;
  LedgerWriter ledger_;
  Batch batch_;
  BatchSize batch_size_;
  ConsumerTools tools_;
  VacuumDuty vacuum_;
  HandlerWatch watch_;
  Settler settler_;
  LeaseKeeper leases_;
  Claimer claimer_;
  Runner runner_;
  Idle idle_;
};

}  // namespace pgforeman
