#include "consumer/settle_log.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "base/log.h"

namespace pgforeman {

void log_settled(const Message& message, const std::optional<Outcome>& outcome, Settled settled) {
  const log::MessageScope scope(message.lease.id, message.attempt);
  const std::string error = outcome ? outcome->error : "";
  const Cause cause = outcome ? outcome->evidence.cause : Cause::none;
  switch (settled) {
    case Settled::done:
      log::debug("message done", {{"result", outcome ? outcome->result : ""}});
      break;
    case Settled::retried:
      log::warn("message failed, will be retried", {{"cause", to_string(cause)}, {"error", error}});
      break;
    case Settled::dead:
      log::error("message is a dead letter", {{"cause", to_string(cause)}, {"error", error}});
      break;
    case Settled::released:
      if (error.empty()) {
        log::debug("message released, attempt not counted");
      } else {
        log::warn("message released, attempt not counted",
                  {{"cause", to_string(cause)}, {"error", error}});
      }
      break;
    case Settled::lost_lease:
      log::warn("lease lost: somebody else holds the message, nothing was changed",
                {{"fence", message.fence}});
      break;
  }
}

void log_first_done(FleetBoard& board, const Message& message, std::int64_t started_ms) {
  if (board.first_done.load() != 0 || board.first_done.exchange(1) != 0) return;
  const log::MessageScope scope(message.lease.id, message.attempt);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto took = std::chrono::duration_cast<Millis>(now).count() - started_ms;
  log::info("first message done", {{"ms", std::max<std::int64_t>(0, took)}});
}

}  // namespace pgforeman
