#pragma once
// Applies the fleet's brake to this consumer: reports starts and runs, decides whether it may
// claim, and what noop may delete. Fork: after.

#include <string_view>

#include "fleet/brake.h"
#include "handlers/handler.h"
#include "process/child_loop.h"
#include "process/session.h"

namespace pgforeman {

class HandlerWatch {
 public:
  HandlerWatch(const ChildContext& context, ChildLoop& loop, Session& session);

  /// Returns callbacks for the handler; they refer to this object.
  StartReports start_reports();
  /// True if may_claim() may have to wait: every run of the fleet fails. The consumer then settles
  /// before it claims.
  bool may_wait() const { return brake_.is_on(); }
  /// False, after a wait of half a second at most, if nothing may be claimed now. Throws
  /// DatabaseError.
  [[nodiscard]] bool may_claim();
  /// False if noop must not delete this message: it was there before HANDLER_MODE=noop began.
  [[nodiscard]] bool may_run(const Message& message);
  /// True if the rest of the batch must be released: the brake is on, this consumer has no probe.
  bool holds() const { return brake_.is_on() && !probing_; }
  /// Returns how many messages a claim may ask for: one while the brake is on.
  int at_most(int wanted) const { return brake_.is_on() ? 1 : wanted; }
  /// Call when there was nothing to run: gives back a probe that was not used.
  void idle();
  /// A run has ended. While every run fails, sets a longer delay in `outcome`.
  void record_run(const Message& message, Outcome& outcome, bool failed_start);

 private:
  bool is_noop() const;
  bool noop_may_claim();
  void refuse_noop();
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
