#include "consumer/settle_log.h"

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

}  // namespace pgforeman
