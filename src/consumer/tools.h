#pragma once
// What the parts of a consumer work with. Each reference outlives the parts. Fork: after.

#include "consumer/batch.h"
#include "consumer/batch_size.h"
#include "process/child_loop.h"
#include "process/session.h"

namespace pgforeman {

struct ConsumerTools {
  const ChildContext& context;
  const Options& options;
  ChildLoop& loop;
  Session& session;
  Batch& batch;
  BatchSize& batch_size;

  FleetBoard& fleet() const { return context.scoreboard->fleet(); }
  QueueBoard& queue() const { return context.scoreboard->queue(); }
};

}  // namespace pgforeman
