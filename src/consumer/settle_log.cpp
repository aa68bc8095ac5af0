#include "consumer/settle_log.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include "system/log.h"
#include "text/quantity.h"

namespace pgforeman {

namespace {

/// What the failure counts as: an attempt, or a crash, which is counted apart.
std::string cost_of(const Message& message, const Outcome& outcome, const RetryRule& rule) {
  if (outcome.kind == Outcome::Kind::crash) {
    return "a crash (MAX_CRASHES is " + std::to_string(rule.max_crashes) + ")";
  }
  return "attempt " + std::to_string(message.attempt) + " of " + std::to_string(rule.max_attempts);
}

/// An estimate: the database adds jitter of +-20 %, and waits longer after crashes, which only it
/// has counted.
std::string wait_of(const Message& message, const Outcome& outcome, const RetryRule& rule) {
  if (outcome.after) return format_duration(*outcome.after);
  const int doublings = std::min(message.attempt - 1, 40);
  const Millis wait =
      std::min(rule.backoff * (std::int64_t{1} << std::max(doublings, 0)), rule.backoff_max);
  return "about " + format_duration(wait);
}

}  // namespace

void log_settled(const Message& message, const std::optional<Outcome>& outcome, Settled settled,
                 const RetryRule& rule) {
  const log::MessageScope scope(message.id, message.attempt);
  const std::string error = outcome ? outcome->error : "";
  const Cause cause = outcome ? outcome->evidence.cause : Cause::none;
  switch (settled) {
    case Settled::done:
      log::debug("message done", {{"result", outcome ? outcome->result : ""}});
      break;
    case Settled::retried:
      if (!outcome) {
        log::warn("message failed, will be retried");
        break;
      }
      log::warn("message failed, will be retried", {{"cause", to_string(cause)},
                                                    {"cost", cost_of(message, *outcome, rule)},
                                                    {"again_in", wait_of(message, *outcome, rule)},
                                                    {"error", error}});
      break;
    case Settled::dead:
      log::error("message is a dead letter",
                 {{"cause", to_string(cause)},
                  {"cost", outcome ? cost_of(message, *outcome, rule) : std::string()},
                  {"error", error}});
      break;
    case Settled::released:
      if (error.empty() || cause == Cause::none) {
        // A handler that did not start was logged before.
        log::debug("message released, attempt not counted");
      } else {
        log::warn("message released, attempt not counted",
                  {{"cause", to_string(cause)}, {"error", error}});
      }
      break;
    case Settled::lost_lease:
      log::warn("lease lost: another holder has the message, nothing was changed",
                {{"fence", message.fence}});
      break;
    case Settled::locked:
    case Settled::failed:
    case Settled::not_tried:
    case Settled::refused:
      break;
  }
}

void log_first_done(FleetBoard& board, const Message& message, std::int64_t started_ms) {
  if (board.first_done.load() != 0 || board.first_done.exchange(1) != 0) return;
  const log::MessageScope scope(message.id, message.attempt);
  log::info("first message done", {{"ms", std::max<std::int64_t>(0, wall_ms() - started_ms)}});
}

}  // namespace pgforeman
