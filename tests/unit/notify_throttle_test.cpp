#include "maintenance/notify_throttle.h"

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

using Mode = NotifyThrottle::Mode;

const TimePoint kThrottledAt{1'000'000ms};

NotifyThrottle notifying() {
  NotifyThrottle throttle;
  throttle.notify(kThrottledAt);
  return throttle;
}

NotifyThrottle polling() {
  NotifyThrottle throttle;
  throttle.poll(kThrottledAt);
  return throttle;
}

}  // namespace

TEST_CASE("Eight notifications within 10 ms are too many", "[notify_throttle]") {
  auto throttle = notifying();
  CHECK_FALSE(throttle.received(0, true, kThrottledAt));
  CHECK_FALSE(throttle.received(7, true, kThrottledAt));
  CHECK(throttle.received(1, true, kThrottledAt + 9ms));
  throttle = notifying();
  CHECK_FALSE(throttle.received(7, true, kThrottledAt));
  CHECK_FALSE(throttle.received(7, true, kThrottledAt + 10ms));
}

TEST_CASE("Eight notifications in a row without an idle consumer are too many",
          "[notify_throttle]") {
  auto throttle = notifying();
  for (int i = 0; i < 7; ++i) CHECK_FALSE(throttle.received(1, false, kThrottledAt + i * 1s));
  CHECK(throttle.received(1, false, kThrottledAt + 7s));
  throttle = notifying();
  for (int i = 0; i < 20; ++i) CHECK_FALSE(throttle.received(1, i % 7 == 0, kThrottledAt + i * 1s));
}

TEST_CASE("In other modes a notification changes nothing", "[notify_throttle]") {
  auto throttle = polling();
  CHECK_FALSE(throttle.received(100, true, kThrottledAt));
  throttle.turn_off();
  CHECK_FALSE(throttle.received(100, false, kThrottledAt));
  CHECK(throttle.mode() == Mode::off);
}

TEST_CASE("After a switch to notify polls come ever more rarely, and end", "[notify_throttle]") {
  auto throttle = notifying();
  CHECK(throttle.next_poll() == kThrottledAt);
  TimePoint at = kThrottledAt;
  for (const Millis wait : {2ms, 4ms, 8ms, 16ms, 32ms, 64ms, 128ms, 256ms, 512ms}) {
    CHECK_FALSE(throttle.polled(0, false, at, at));
    CHECK(throttle.next_poll() == at + wait);
    at += wait;
  }
  CHECK_FALSE(throttle.polled(0, false, at, at));
  CHECK(throttle.next_poll() == TimePoint::max());
  // A consumer may be about to wait.
  throttle.received(1, false, at);
  CHECK(throttle.next_poll() == at + 2ms);
}

TEST_CASE("Polling ends after four polls in a row without a fresh message", "[notify_throttle]") {
  auto throttle = polling();
  CHECK(throttle.next_poll() == kThrottledAt + 2ms);
  for (const bool fresh : {false, false, false, true, false, false, false}) {
    CHECK_FALSE(throttle.polled(0, fresh, kThrottledAt, kThrottledAt));
  }
  CHECK(throttle.polled(0, false, kThrottledAt, kThrottledAt));
}

TEST_CASE("The more is ready the rarer are polls, and they take a fifth of the time at most",
          "[notify_throttle]") {
  auto throttle = polling();
  struct Case {
    std::int64_t ready;
    Millis took, next;
  };
  for (const auto& [ready, took, next] : {Case{0, 0ms, 2ms}, Case{6, 0ms, 4ms}, Case{24, 0ms, 6ms},
                                          Case{1000, 0ms, 6ms}, Case{0, 10ms, 50ms}}) {
    throttle.polled(ready, true, kThrottledAt, kThrottledAt + took);
    CHECK(throttle.next_poll() == kThrottledAt + next);
  }
}

TEST_CASE("No polls while no consumer is idle", "[notify_throttle]") {
  auto throttle = polling();
  throttle.turn_off();
  CHECK(throttle.next_poll() == TimePoint::max());
  throttle.turn_on();
  CHECK(throttle.mode() == Mode::poll);
  CHECK(throttle.next_poll() == kThrottledAt + 2ms);
}
