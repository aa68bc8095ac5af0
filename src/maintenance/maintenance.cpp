#include "maintenance/maintenance.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <vector>

#include "base/log.h"
#include "child/child_main.h"
#include "child/settled.h"

namespace pgforeman {
namespace {

constexpr Millis kTick{1000};
constexpr Millis kSoonestTick{20};
// Maintenance probes the database for the whole fleet, so it alone is quick.
constexpr Millis kReconnectCap{500};
// Looks for the rows of an unheard claim: at once, then after 5, 10, 20 ... ms; the last one is
// later than the server's statement timeout, when nothing can be under way any more.
constexpr Millis kFirstLook{5};
constexpr Millis kLastLook{20000};

Outcome outcome_of(const LedgerReading::Entry& entry, const LedgerReading& ledger) {
  using Kind = Outcome::Kind;
  switch (entry.state) {
    case LeaseState::done:
      return {Kind::done, {}, "", ""};
    case LeaseState::dead:
      return {Kind::dead, {}, ledger.cause + " before it could say why", ""};
    case LeaseState::retry: {
      Outcome outcome{Kind::retry, {}, ledger.cause + " before it could say why", ""};
      if (entry.after_ms >= 0) outcome.after = Millis{entry.after_ms};
      return outcome;
    }
    case LeaseState::running:
      if (ledger.blame) return {Kind::retry, {}, ledger.cause + " while it ran this message", ""};
      break;
    default:
      break;
  }
  return {Kind::released, {}, "", ""};
}

}  // namespace

void maintenance_main(const ChildContext& context) noexcept {
  run_child("maintenance", -1, context, [&] { Maintenance(context).run(); });
}

Maintenance::Maintenance(const ChildContext& context)
    : context_(context),
      loop_(context),
      session_(context, loop_, "pgforeman maintenance " + context.options->queue, kReconnectCap),
      calls_(loop_.io(), ::fcntl(context.call_fd, F_DUPFD_CLOEXEC, 0)) {}

void Maintenance::run() {
  while (!loop_.check_signals()) {
    try {
      if (!session_.connected()) {
        announced_ = false;
        if (!session_.connect()) break;
      }
      rescue_all();
      release_unheard();
      if (Clock::now() >= next_tick_) tick();
      wait_for_work();
    } catch (const DatabaseError& error) {
      session_.failed(error);
    }
  }
  try {
    if (session_.connected() || session_.try_connect()) {
      rescue_all();
      release_unheard();
    }
  } catch (const DatabaseError& error) {
    session_.drop(error);  // what is left ends by the visibility timeout
  }
}

void Maintenance::rescue_all() {
  for (int i = 0; i < kLedgers; ++i) {
    if (context_.scoreboard->ledger_use(i).load() != LedgerUse::orphaned) continue;
    const bool known = std::any_of(unheard_.begin(), unheard_.end(),
                                   [i](const UnheardClaim& claim) { return claim.ledger == i; });
    if (!known) rescue(i);
  }
}

void Maintenance::rescue(int index) {
  loop_.enter(Phase::settling);
  const LedgerReading ledger = read_ledger(context_.scoreboard->ledger(index));
  const auto settled = settle_entries(ledger);
  session_.worked();
  for (std::size_t i = 0; i < settled.size(); ++i) {
    count_settled(loop_.slot().slot(), settled[i]);
    const log::MessageScope scope(ledger.entries[i].lease.id, ledger.entries[i].attempt);
    log::info("message rescued", {{"as", to_string(settled[i])}, {"cause", ledger.cause}});
  }
  if (ledger.claiming_token != 0) {
    unheard_.push_back(
        {index, ledger.claiming_token, ledger.blame, ledger.cause, kFirstLook, Clock::now()});
  } else {
    context_.scoreboard->ledger_use(index).store(LedgerUse::free);
  }
  tick_soon();  // what is to be retried may be due before the next tick
  wake_idle(static_cast<std::int64_t>(settled.size()));
}

std::vector<Settled> Maintenance::settle_entries(const LedgerReading& ledger) {
  std::vector<Settlement> settlements;
  for (const auto& entry : ledger.entries) {
    settlements.push_back({entry.lease, outcome_of(entry, ledger)});
  }
  if (settlements.empty()) return {};
  auto settled = session_.queue().settle(settlements, retry_rule(*context_.options));
  for (std::size_t i = 0; i < settled.size(); ++i) {
    // A finished message that is not held any more was told by its consumer, which died before it
    // heard the answer and counted.
    const auto state = ledger.entries[i].state;
    const bool finished = state != LeaseState::held && state != LeaseState::running;
    if (settled[i] == Settled::lost_lease && finished) {
      settled[i] = as_told_before(settlements[i].outcome.kind);
    }
  }
  return settled;
}

void Maintenance::release_unheard() {
  const TimePoint now = Clock::now();
  for (auto& claim : unheard_) {
    if (now < claim.next_look) continue;
    loop_.enter(Phase::settling);
    const auto messages =
        claim.blame ? session_.queue().blame_token(claim.token, retry_rule(*context_.options),
                                                   claim.cause + " while it claimed this message")
                    : session_.queue().release_token(claim.token);
    claim.next_look = now + claim.wait;
    claim.wait *= 2;
    if (messages == 0) continue;
    claim.wait = kLastLook;  // a claim commits once: that was all of it
    loop_.slot().slot().released.fetch_add(static_cast<std::uint64_t>(messages));
    log::info("claim without an answer released", {{"messages", messages}});
    wake_idle(messages);
  }
  std::erase_if(unheard_, [this](const UnheardClaim& claim) {
    if (claim.wait < kLastLook) return false;
    context_.scoreboard->ledger_use(claim.ledger).store(LedgerUse::free);
    return true;
  });
}

/// Somebody scheduled a message: look when it is due, but not more often than kSoonestTick.
void Maintenance::tick_soon() {
  next_tick_ = std::min(next_tick_, ticked_at_ + kSoonestTick);
}

void Maintenance::tick() {
  loop_.enter(Phase::claiming);
  ticked_at_ = Clock::now();
  // Retries may call for a tick fifty times a second; what they need is the promotion alone.
  const bool counting = ticked_at_ >= next_count_;
  const Tick tick = session_.queue().tick(counting);
  session_.worked();
  if (counting) {
    next_count_ = ticked_at_ + kTick;
    publish(tick.counts);
  }
  if (!announced_) {
    announced_ = true;
    context_.scoreboard->fleet().database_up.fetch_add(1);
  }
  // Due messages between two ticks would wait for the next one: come back when the next is due.
  const Millis next = std::clamp(tick.next_due.value_or(kTick), kSoonestTick, kTick);
  next_tick_ = Clock::now() + next;
  wake_idle(counting ? tick.counts.ready : tick.promoted);
}

void Maintenance::publish(const QueueCounts& counts) {
  FleetBoard& board = context_.scoreboard->fleet();
  board.ready.store(counts.ready);
  board.scheduled.store(counts.scheduled);
  board.running.store(counts.running);
  board.dead.store(counts.dead);
  board.oldest_ms.store(static_cast<std::int64_t>(counts.oldest_seconds * 1000));
  board.capped.store(counts.capped ? 1 : 0);
  board.counted_at_ms.store(to_ms(Clock::now()));
}

/// As many as there is work for, and never more than wait: a unit nobody takes would wake somebody
/// for nothing later.
void Maintenance::wake_idle(std::int64_t messages) {
  std::int64_t waiting = 0;
  for (int i = 0; i < kMaxConsumers && waiting < messages; ++i) {
    const Slot& slot = context_.scoreboard->slot(i);
    if (slot.epoch.load() == 0) break;  // slots are taken in order
    if (Beat{slot.beat.load()}.phase() == Phase::waiting) ++waiting;
  }
  eventfd_t left = 0;
  while (::eventfd_read(context_.wake_fd, &left) == 0) {
  }
  if (waiting > 0) ::eventfd_write(context_.wake_fd, static_cast<eventfd_t>(waiting));
}

void Maintenance::wait_for_work() {
  loop_.enter(Phase::waiting);
  bool called = false;
  calls_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [&](const boost::system::error_code& error) {
                      eventfd_t count = 0;
                      if (!error) called = ::eventfd_read(context_.call_fd, &count) == 0;
                    });
  TimePoint until = next_tick_;
  for (const auto& claim : unheard_) until = std::min(until, claim.next_look);
  loop_.run_until([&] { return called; }, until);
  calls_.cancel();
  loop_.io().poll();
  if (called) tick_soon();
}

}  // namespace pgforeman
