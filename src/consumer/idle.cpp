#include "consumer/idle.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "scoreboard/phase_limits.h"
#include "scoreboard/waker.h"

namespace pgforeman {
namespace {

// Maintenance that did not report for so long does not hear for the fleet.
constexpr Millis kHearsFor{3000};
constexpr Millis kBackstop{60'000};

Millis times(Millis time, double factor) {
  return Millis{static_cast<Millis::rep>(static_cast<double>(time.count()) * factor)};
}

}  // namespace

Idle::Idle(const ConsumerTools& tools)
    : tools_(tools),
      bell_(tools.loop.io(),
            ::fcntl(Waker::bell_of(tools.context, tools.context.slot), F_DUPFD_CLOEXEC, 0)) {}

/// While maintenance hears of new messages it wakes consumers, and looks every 1.2 s for what it
/// missed: a look by each of a thousand idle consumers would find nothing. One looks for all. But
/// no session lies unused for so long that a firewall between forgets it.
TimePoint Idle::next_poll(TimePoint since, TimePoint now, double jitter) const {
  const QueueNews& news = tools_.queue().news;
  const auto heard = news.heard_at_ms.load();
  const bool hears = heard <= to_ms(now) && heard > to_ms(now - kHearsFor);
  const Millis poll =
      hears ? std::max(tools_.options.poll_interval, kBackstop) : tools_.options.poll_interval;
  const TimePoint other = from_ms(news.polled_at_ms.load());
  return std::min((other <= now ? std::max(since, other) : since) + times(poll, jitter),
                  since + times(std::max(poll, kBackstop * tools_.options.concurrency), jitter));
}

void Idle::wait(bool can_claim, TimePoint due, const std::function<bool()>& stop,
                const std::function<void(TimePoint now)>& look) {
  ChildLoop& loop = tools_.loop;
  QueueNews& news = tools_.queue().news;
  Waker waker(tools_.context);
  bool woken = false;
  // Consumers that share the bell hear it too, and one of them takes the wake-up.
  const std::function<void()> listen = [&] {
    bell_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [&](const boost::system::error_code& error) {
                       eventfd_t rings = 0;
                       if (error || woken) return;
                       ::eventfd_read(bell_.native_handle(), &rings);
                       woken = waker.take();
                       if (!woken) listen();
                     });
  };
  if (can_claim) listen();
  loop.slot().listens.store(can_claim ? 1 : 0);
  const double jitter = 0.8 + 0.4 * loop.random();
  const TimePoint since = Clock::now();
  // Maintenance got a new session: this one may be dead, which would show only when it is needed.
  const auto up_before = tools_.fleet().database_up.load();
  bool polls = false;
  for (TimePoint now = since;
       !woken && !loop.draining() && tools_.fleet().database_up.load() == up_before && !stop();
       now = Clock::now()) {
    const TimePoint poll = next_poll(since, now, jitter);
    polls = now >= poll;
    if (polls && can_claim) news.polled_at_ms.store(to_ms(now));
    if (polls || now >= due) break;
    loop.enter(Phase::waiting);
    // After the phase was written: maintenance rests, or counts wake-ups, and then looks at phases.
    if (news.call_when_idle.load() != 0) ::eventfd_write(tools_.context.call_fd, 1);
    woken = woken || (can_claim && waker.take());
    look(now);
    // The look may have begun a drain.
    loop.run_until([&] { return woken || stop() || loop.draining(); },
                   std::min({poll, due, now + kLongestSilence}));
  }
  loop.slot().listens.store(0);
  bell_.cancel();
  loop.io().poll();
  woken_ = woken || (polls && can_claim);
}

void Idle::pass_on() {
  if (std::exchange(woken_, false)) Waker(tools_.context).wake_one();
}

}  // namespace pgforeman
