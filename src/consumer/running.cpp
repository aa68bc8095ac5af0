// How a consumer looks after a message's handler while it runs, and what it makes of its end.

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/byte_size.h"
#include "base/resident.h"
#include "base/signals.h"
#include "consumer/consumer.h"
#include "consumer/run_end.h"
#include "scoreboard/phase_limits.h"

namespace pgforeman {
namespace {

// How often a consumer looks whether the running message is still its own; less for short leases.
constexpr Millis kLeaseLook{1000};
// And whether its handler holds too much memory, where there is a limit.
constexpr Millis kMemoryLook{500};

/// How a process ended is no answer when a signal from outside may have reached it: see run_end.h.
Outcome judged(ChildLoop& loop, const ChildContext& context, Outcome outcome,
               TimePoint started_at) {
  if (!is_by_exit(outcome)) return outcome;
  const TimePoint ended_at = Clock::now();
  loop.read_signals();
  for (;;) {
    RunEnd end{started_at, ended_at, loop.signalled_at(), std::nullopt};
    if (loop.draining()) end.drains_since = loop.drains_since();
    end.fleet_stops = context.scoreboard->fleet().ends_at_ms.load() != 0;
    end.stop_signal = number_of(context.options->handler_stop_signal);
    const Ruling ruling = rule_on(outcome, end, Clock::now());
    if (ruling.kind == Ruling::Kind::stands) return outcome;
    if (ruling.kind != Ruling::Kind::wait) return ruled(std::move(outcome), ruling.kind);
    loop.run_until([&] { return loop.signalled_at() != end.signalled_at; }, ruling.until);
  }
}

/// Its process with all that descends from it, also what came to this consumer as an orphan.
void look_at_memory(Handler& handler, std::int64_t most) {
  const std::int64_t held = resident_bytes_of_tree(::getpid()) - resident_bytes(::getpid());
  if (held <= most) return;
  handler.kill_for_memory("held " + std::to_string(held >> 20U) + " MiB of memory, above " +
                          format_byte_size({most}) + " (HANDLER_MAX_MEMORY)");
}

}  // namespace

Outcome Consumer::handle(std::size_t index, TimePoint started_at) {
  std::optional<Outcome> outcome;
  handler_->run(batch_[index].message, [&](Outcome made) { outcome = std::move(made); });
  if (const auto pids = handler_->pids(); !pids.empty()) ledger_.set_handler(pids.front());
  const auto finished = [&] { return outcome.has_value(); };
  const std::int64_t most_memory = options_.handler_max_memory.bytes;
  const Millis look =
      std::min(most_memory > 0 ? kMemoryLook : kLeaseLook, options_.visibility_timeout / 6);
  bool stopped = false;
  bool hurried = false;
  bool lost = false;
  bool released_rest = false;
  const TimePoint hold_rest_until =
      batch_size_.is_auto() ? started_at + (BatchSize::kHoldFor - handled_for_) : TimePoint::max();
  while (!outcome) {
    const TimePoint begin = Clock::now();
    if (!released_rest && (loop_.draining() || begin >= hold_rest_until)) {
      released_rest = true;
      release_unstarted();
    }
    if (begin >= next_telling()) tell_while_running();
    TimePoint next = std::min(begin + look, next_telling());
    if (!released_rest) next = std::min(next, hold_rest_until);
    if (loop_.draining() && !stopped) next = std::min(next, loop_.drain_deadline());
    loop_.run_until(finished, next);
    if (outcome) break;
    const TimePoint now = Clock::now();
    const bool hurries = loop_.hurried() && !hurried;
    if (loop_.draining() && (!stopped || hurries) && now >= loop_.drain_deadline()) {
      handler_->stop(StopReason::shutdown, loop_.stop_grace());
      stopped = true;
      hurried = loop_.hurried();
    }
    if (most_memory > 0) look_at_memory(*handler_, most_memory);
    look_after_lease(index);
    if (batch_[index].lost && !lost) {
      lost = true;
      handler_->stop(StopReason::lease_lost, options_.handler_stop_grace);
    }
  }
  return judged(loop_, context_, std::move(*outcome), started_at);
}

}  // namespace pgforeman
