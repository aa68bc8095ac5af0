#include "consumer/idle.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "fleet/phase_limits.h"
#include "fleet/wakeups.h"

namespace pgforeman {
namespace {

constexpr Millis kBackstop{60'000};

Millis times(Millis time, double factor) {
  return Millis{static_cast<Millis::rep>(static_cast<double>(time.count()) * factor)};
}

}  // namespace

Idle::Idle(const ConsumerTools& tools)
    : tools_(tools),
      wakeup_fd_(tools.loop.io(), ::fcntl(Wakeups::wakeup_fd_of(tools.context, tools.context.slot),
                                          F_DUPFD_CLOEXEC, 0)) {}

/// While maintenance listens, it wakes consumers, and polls every 1.2 s for messages without a
/// notification: polls of a thousand idle consumers would find nothing, so one polls for all. Each
/// consumer still polls at times, so that no firewall forgets its session.
TimePoint Idle::next_poll(TimePoint since, TimePoint now, double jitter) const {
  const WakeupBoard& wakeups = tools_.queue().wakeups;
  const Millis own = tools_.options.poll_interval;
  const Millis poll = wakeups.listens(now) ? std::max(own, kBackstop) : own;
  const TimePoint other = wakeups.last_poll();
  return std::min((other <= now ? std::max(since, other) : since) + times(poll, jitter),
                  since + times(std::max(poll, kBackstop * tools_.options.concurrency), jitter));
}

void Idle::wait(bool can_claim, TimePoint due, const std::function<bool()>& stop,
                const std::function<void(TimePoint now)>& look) {
  ChildLoop& loop = tools_.loop;
  WakeupBoard& wakeups = tools_.queue().wakeups;
  bool woken = false;
  // Consumers that share the descriptor are notified too: one of them takes the wake-up.
  const std::function<void()> listen = [&] {
    wakeup_fd_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                          [&](const boost::system::error_code& error) {
                            eventfd_t count = 0;
                            if (error || woken) return;
                            ::eventfd_read(wakeup_fd_.native_handle(), &count);
                            woken = wakeups.take();
                            if (!woken) listen();
                          });
  };
  if (can_claim) listen();
  loop.slot().awaits_wakeup.store(can_claim ? 1 : 0);
  const double jitter = 0.8 + 0.4 * loop.random();
  const TimePoint since = Clock::now();
  // A new session of maintenance hints at an outage: stops waiting, as a claim tests this session.
  const auto up_before = tools_.fleet().database_up.load();
  bool polls = false;
  for (TimePoint now = since;
       !woken && !loop.draining() && tools_.fleet().database_up.load() == up_before && !stop();
       now = Clock::now()) {
    const TimePoint poll = next_poll(since, now, jitter);
    polls = now >= poll;
    if (polls && can_claim) wakeups.record_poll(now);
    if (polls || now >= due) break;
    loop.enter(Phase::waiting);
    // Must follow the write of the phase: maintenance first writes its own words (rest, wake-ups),
    // then reads phases. So one side always sees the other.
    if (wakeups.calls_when_idle()) ::eventfd_write(tools_.context.maintenance_fd, 1);
    woken = woken || (can_claim && wakeups.take());
    look(now);
    // look() may have begun a drain.
    loop.run_until([&] { return woken || stop() || loop.draining(); },
                   std::min({poll, due, now + kLongestSilence}));
  }
  loop.slot().awaits_wakeup.store(0);
  wakeup_fd_.cancel();
  loop.io().poll();
  woken_ = woken || (polls && can_claim);
}

void Idle::pass_on_wakeup() {
  if (std::exchange(woken_, false)) Wakeups(tools_.context).wake_one();
}

}  // namespace pgforeman
