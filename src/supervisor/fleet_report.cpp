#include "supervisor/fleet_report.h"

#include <unistd.h>

#include <algorithm>

#include "pgforeman/version.h"
#include "system/log.h"

namespace pgforeman {
namespace {

// A maintenance process younger than this has no veto: it may not have tried the database yet.
constexpr Millis kFirstSession{1000};
// A busy consumer may find its session broken long after an outage is over. It opens a new one
// within milliseconds, so for this long readiness still counts it as connected.
constexpr Millis kReconnectGrace{2000};

double seconds(Clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

/// Returns seconds since `since_ms`, at most the fleet's uptime: shared memory may hold anything.
double age(std::int64_t since_ms, TimePoint now, TimePoint started_at) {
  const auto oldest = to_ms(started_at);
  const auto value = std::clamp(since_ms, oldest, std::max(oldest, to_ms(now)));
  return static_cast<double>(to_ms(now) - value) / 1000.0;
}

/// Cuts a counter to 48 bits: garbage in shared memory must not overflow sums over all slots.
std::uint64_t bounded(std::uint64_t counter) {
  return counter & ((std::uint64_t{1} << 48U) - 1);
}

std::uint64_t count(const std::atomic<std::uint64_t>& counter) {
  return bounded(counter.load(std::memory_order_relaxed));
}

/// Returns the value, or 0 instead of a negative one: shared memory may hold anything.
std::int64_t at_least_0(const std::atomic<std::int64_t>& value) {
  return std::max<std::int64_t>(0, value.load());
}

MessageCounters counters(const Slot& slot) {
  return {count(slot.done), count(slot.retry), count(slot.dead), count(slot.released),
          count(slot.lost_lease)};
}

void add(MessageCounters& sum, const MessageCounters& one) {
  sum.done += one.done;
  sum.retry += one.retry;
  sum.dead += one.dead;
  sum.released += one.released;
  sum.lost_lease += one.lost_lease;
}

}  // namespace

SlotView FleetReport::slot_view(int index, const SlotState& state, TimePoint now) const {
  const Slot& shared = board_.slot(index);
  SlotView view;
  const bool maintenance = index == kMaintenanceSlot;
  view.slot = shown_slot(index);
  view.role = maintenance ? "maintenance" : "consumer";
  view.messages = counters(shared);
  view.crash_looping = state.crash_looping;
  if (const auto found = table_.children.find(index); found != table_.children.end()) {
    const Child& child = found->second;
    view.pid = child.pid;
    view.epoch = child.epoch;
    view.restarts = child.epoch > 0 ? child.epoch - 1 : 0;
    view.last_exit = child.last_exit;
    if (view.last_exit) view.last_exit->seconds_ago = seconds(now - child.exited_at);
  }
  if (state.life() == SlotState::Life::due) {
    view.restart_in_seconds = std::max(0.0, seconds(state.due_at() - now));
  }
  if (view.pid == 0) return view;
  const Beat beat{shared.beat.load()};
  view.phase = state.drain_sent_at ? Phase::draining : beat.phase();
  view.phase_seconds = age(shared.phase_since_ms.load(), now, table_.started_at);
  const auto far = std::chrono::hours(24 * 365);
  view.deadline_in_seconds = seconds(std::clamp(beat.deadline(), now - far, now + far) - now);
  view.heartbeat_age_seconds = seconds(now - std::min(now, state.beat_seen_at));
  view.connected = shared.connected.load() == 1;
  const auto lost_at = shared.lost_session_ms.load();
  view.reconnecting =
      !view.connected && lost_at > to_ms(now - kReconnectGrace) && lost_at <= to_ms(now);
  if (const auto id = shared.message_id.load(); id != 0) {
    view.message_id = id;
    view.attempt = static_cast<int>(shared.attempt.load() & 0x7fffffffU);
  }
  view.batch = std::min<std::uint32_t>(shared.batch.load(), kMaxBatch);
  return view;
}

HandlerView FleetReport::handler_view(TimePoint now) const {
  constexpr std::array<const char*, 4> kStates = {"unknown", "failed", "lives", "started"};
  const HandlerBoard& board = board_.handler();
  HandlerView view;
  const auto state = static_cast<std::size_t>(board.start.load());
  if (state < kStates.size()) view.start = kStates[state];
  view.failed_starts = count(board.failed_starts);
  if (view.start == "failed") view.problem = start_problem(board);
  view.failed_runs = count(board.failed_runs);
  view.braking = board.braking.load() == 1;
  if (view.braking) {
    const auto in = Millis{std::clamp(board.probe_at_ms.load(), to_ms(now), to_ms(now) + 60'000)};
    view.next_run_in_seconds = static_cast<double>(in.count() - to_ms(now)) / 1000.0;
  }
  return view;
}

std::string FleetReport::running_messages() const {
  std::string ids;
  int running = 0;
  for (const auto& [slot, child] : table_.children) {
    if (child.pid <= 0 || slot == kMaintenanceSlot) continue;
    const Slot& shared = board_.slot(slot);
    const auto id = shared.message_id.load();
    // The slot keeps the id after the run, until the message is settled.
    if (Beat{shared.beat.load()}.phase() != Phase::running) continue;
    if (id == 0 || ++running > 8) continue;
    ids += (ids.empty() ? "" : " ") + std::to_string(id);
  }
  return running > 8 ? ids + " and " + std::to_string(running - 8) + " more" : ids;
}

FleetView FleetReport::view() const {
  const TimePoint now = Clock::now();
  FleetView view;
  view.version = kVersion;
  view.queue = options_.queue;
  view.pid = ::getpid();
  view.uptime_seconds = seconds(now - table_.started_at);
  view.exits_by_cause = table_.exits_by_cause;
  // Causes that never happened are shown as 0: the rate() of a series misses an event that is the
  // first sample.
  for (const auto cause : kExitCauseNames) view.exits_by_cause.emplace(cause, 0);
  for (int i = 1; i < kCauseCount; ++i) {
    view.failures_by_cause[std::string(to_string(static_cast<Cause>(i)))] =
        count(board_.fleet().causes[static_cast<std::size_t>(i)]);
  }
  view.log_lines_dropped = log::dropped_lines();
  for (const auto& [index, state] : policy_.slots()) {
    SlotView slot = slot_view(index, state, now);
    add(view.messages, slot.messages);
    const Slot& shared = board_.slot(index);
    for (std::size_t i = 0; i < kHandlerBuckets; ++i) {
      view.handler_buckets[i] += count(shared.handler_buckets[i]);
    }
    view.handler_seconds_sum += static_cast<double>(count(shared.handler_us_sum)) / 1e6;
    if (index == kMaintenanceSlot) {
      view.maintenance = std::move(slot);
    } else if (state.wanted() || slot.pid > 0) {
      view.slots.push_back(std::move(slot));
    }
  }
  const QueueCounted& board = board_.queue().counted;
  if (const auto counted_at = board.at_ms.load(); counted_at != 0) {
    view.counts = QueueView{at_least_0(board.ready),
                            at_least_0(board.scheduled),
                            at_least_0(board.running),
                            at_least_0(board.dead),
                            static_cast<double>(at_least_0(board.oldest_ms)) / 1000.0,
                            age(counted_at, now, table_.started_at),
                            board.capped.load() == 1};
  }
  for (std::size_t i = 0; i < kDuties; ++i) {
    const auto duty = static_cast<Duty>(i);
    DutyReading reading = board_.queue().duties.read(duty);
    DutyView& shown =
        view.duties.emplace_back(DutyView{std::string(to_string(duty)), std::nullopt,
                                          bounded(reading.failures), std::move(reading.reason)});
    if (reading.failing_since_ms > 0) {
      shown.failing_seconds = age(reading.failing_since_ms, now, table_.started_at);
    }
  }
  for (std::size_t i = 0; i < kRefusedChanges; ++i) {
    const auto call = static_cast<RefusedChange>(i);
    view.refused[std::string(to_string(call))] = bounded(board_.queue().refused.read(call));
  }
  view.handler = handler_view(now);
  view.not_live_reason = policy_.not_live_reason(now);
  view.live = view.not_live_reason.empty();
  judge_readiness(view);
  return view;
}

/// Sets state and readiness: ready if the fleet can claim. A consumer in a long run cannot notice
/// an outage. Maintenance asks the database every 1.2 s, so it has a veto while its process exists.
void FleetReport::judge_readiness(FleetView& view) const {
  const bool maintenance_works = view.maintenance.pid > 0 && view.maintenance.connected;
  const auto can_claim = [&](const SlotView& slot) {
    return slot.pid > 0 && (slot.connected || (maintenance_works && slot.reconnecting));
  };
  const bool works = std::any_of(view.slots.begin(), view.slots.end(), can_claim);
  const SlotState& state = policy_.slots().at(kMaintenanceSlot);
  const bool may_veto = state.reached_waiting || Clock::now() - state.forked_at > kFirstSession;
  const bool veto = view.maintenance.pid > 0 && may_veto && !view.maintenance.connected &&
                    view.maintenance.phase == Phase::connecting;
  if (policy_.stopping()) {
    view.not_ready_reason = "the fleet drains";
  } else if (!works) {
    view.not_ready_reason = "no consumer has a working database session";
  } else if (veto) {
    view.not_ready_reason = "the database cannot be reached";
  } else if (view.handler.start == "failed") {
    view.not_ready_reason =
        "no start of the handler has worked since the fleet began: " + view.handler.problem;
  } else if (table_.noop_refused) {
    view.not_ready_reason = "HANDLER_MODE=noop on a queue with messages: see NOOP_DISCARDS";
  }
  view.ready = view.not_ready_reason.empty();
  view.state = policy_.stopping() ? "draining" : works ? "running" : "starting";
}

Observation FleetReport::observation(int slot, const Child& child) const {
  const Slot& shared = board_.slot(slot);
  return {Beat{shared.beat.load()}, shared.waiting_epoch.load() == child.epoch,
          ReachedLimit::from(shared.reached_limit.load())};
}

Observations FleetReport::observations() const {
  Observations all;
  for (const auto& [slot, child] : table_.children) {
    if (child.pid > 0) all.emplace(slot, observation(slot, child));
  }
  return all;
}

}  // namespace pgforeman
