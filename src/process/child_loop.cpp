#include "process/child_loop.h"

#include <signal.h>

#include <algorithm>
#include <random>

#include "system/signals.h"

namespace pgforeman {
namespace {

// It costs two system calls, as much as some messages.
constexpr Millis kBetweenChecks{1};

}  // namespace

ChildLoop::ChildLoop(const ChildContext& context)
    : context_(context),
      limits_(*context.options),
      slot_(context.scoreboard->slot(context.slot)),
      io_(1),
      signals_(io_, open_signalfd(
                        {kDrainSignal, kHurrySignal, SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT})
                        .release()),
      timer_(io_) {
  wait_for_signals();
}

void ChildLoop::wait_for_signals() {
  signals_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this](const boost::system::error_code& error) {
                        if (error) return;
                        read_signals();
                        wait_for_signals();
                      });
}

void ChildLoop::read_signals() {
  while (const auto signal = read_signal(signals_.native_handle())) {
    switch (*signal) {
      case kDrainSignal:
        drain();
        break;
      case kHurrySignal:
        hurried_ = true;
        drain_by(Clock::now());
        break;
      case SIGCHLD:
        break;
      default:
        signalled_at_ = Clock::now();
    }
  }
  while (const auto exit = reap_one()) {
    if (on_child_exit_) on_child_exit_(*exit);
  }
}

/// A fleet that stops has one deadline, whenever a child got its signal. A child that is replaced
/// has its own.
TimePoint ChildLoop::end_of_grace() const {
  const TimePoint own = Clock::now() + context_.options->shutdown_grace;
  const auto fleets = context_.scoreboard->fleet().ends_at_ms.load();
  return fleets == 0 ? own : std::min(own, from_ms(fleets));
}

Millis ChildLoop::stop_grace() const {
  const Millis grace = context_.options->handler_stop_grace;
  return hurried_ ? std::min(grace, kHurryStopGrace) : grace;
}

/// Begins to drain, or moves the deadline: the earliest one counts.
void ChildLoop::drain_by(TimePoint deadline) {
  if (!draining()) drains_since_ = Clock::now();
  drain_deadline_ = std::min(drain_deadline_.value_or(deadline), deadline);
}

bool ChildLoop::check_signals(TimePoint now) {
  if (now - checked_at_ >= kBetweenChecks) {
    checked_at_ = now;
    read_signals();
  }
  return draining();
}

void ChildLoop::renew_phase() {
  const Phase phase = Beat{slot_.beat.load()}.phase();
  if (phase == Phase::claiming || phase == Phase::settling) enter(phase);
}

void ChildLoop::run_until(const std::function<bool()>& done, TimePoint deadline) {
  const auto drain_before = drain_deadline_;
  const bool hurried_before = hurried_;
  // Runs ready callbacks before it sets a timer. One at a time, because poll() would not return
  // while a handler keeps writing.
  const auto over = [&] {
    return done() || drain_deadline_ != drain_before || hurried_ != hurried_before;
  };
  while (!over() && Clock::now() < deadline && io_.poll_one() > 0) {
  }
  if (over()) return;
  bool expired = false, delivered = false;
  timer_.expires_at(deadline);
  timer_.async_wait([&](const boost::system::error_code& error) {
    delivered = true;
    if (!error) expired = true;
  });
  while (!over() && !expired) io_.run_one();
  timer_.cancel();
  while (!delivered) io_.run_one();  // the callback writes to locals of this function
}

void ChildLoop::pause(Clock::duration time) {
  run_until([] { return false; }, Clock::now() + time);
}

double ChildLoop::random() {
  static std::minstd_rand engine{std::random_device{}()};
  return std::uniform_real_distribution<double>(0.0, 1.0)(engine);
}

}  // namespace pgforeman
