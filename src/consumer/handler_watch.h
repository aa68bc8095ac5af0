#pragma once
// Applies the fleet's brake to this consumer: reports starts and runs, decides whether it may
// claim. Fork: after.

#include <string_view>

#include "fleet/brake.h"
#include "handlers/handler.h"
#include "process/child_loop.h"
#include "process/session.h"

namespace pgforeman {

class HandlerWatch {
 public:
  HandlerWatch(const ChildContext& context, ChildLoop& loop, Session& session);

  /// For the handler; refers to this.
  StartReports start_reports();
  /// True if the consumer may have to wait, so that it settles first: every run of the fleet fails,
  /// or noop checks that the queue is empty.
  bool may_wait() const { return brake_.is_on() || checks_queue_first(); }
  /// False: nothing may be claimed. Has then waited for half a second at most.
  [[nodiscard]] bool may_claim();
  /// True if the rest of the batch must be released: others wait for it.
  bool holds() const { return brake_.is_on() && !probing_; }
  /// A claim's size.
  int at_most(int wanted) const { return brake_.is_on() ? 1 : wanted; }
  /// There was nothing to run.
  void idle();
  /// A run has ended. While every run fails, sets a longer delay in `outcome`.
  void record_run(const Message& message, Outcome& outcome, bool failed_start);

 private:
  bool checks_queue_first() const;
  bool may_discard();
  void wait_for_probe();

  const ChildContext& context_;
  ChildLoop& loop_;
  Session& session_;
  HandlerBoard& board_;
  std::uint64_t program_;
  Brake brake_;
  bool probing_ = false;
};

}  // namespace pgforeman
