#include "child/settle_each.h"

#include "base/log.h"

namespace pgforeman {

std::vector<std::optional<Settled>> settle_each(Queue& queue,
                                                std::span<const Settlement> settlements,
                                                const RetryRule& rule) {
  using Kind = DatabaseError::Kind;
  try {
    const auto settled = queue.settle(settlements, rule);
    return {settled.begin(), settled.end()};
  } catch (const DatabaseError& error) {
    if (error.kind() != Kind::rejected) throw;
  }
  std::vector<std::optional<Settled>> settled;
  for (const Settlement& settlement : settlements) {
    try {
      settled.emplace_back(queue.settle({&settlement, 1}, rule).front());
    } catch (const DatabaseError& error) {
      if (error.kind() != Kind::rejected) throw;
      settled.emplace_back();
      const log::MessageScope scope(settlement.lease.id, 0);
      log::error("message not settled, it waits for VISIBILITY_TIMEOUT",
                 {{"reason", error.what()}});
    }
  }
  return settled;
}

}  // namespace pgforeman
