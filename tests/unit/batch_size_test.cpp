#include "consumer/batch_size.h"

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

/// Claims from a queue without end, whose messages take `each`, until nothing changes.
int settled_size(Clock::duration each) {
  BatchSize size(0);
  for (int i = 0; i < 20; ++i) {
    const int got = size.next();
    size.claimed(got, got);
    for (int m = 0; m < got; ++m) size.handled(each);
  }
  return size.next();
}

}  // namespace

TEST_CASE("A number fixes the batch size", "[batch_size]") {
  BatchSize size(7);
  size.claimed(7, 1);
  size.handled(10s);
  CHECK(size.next() == 7);
  CHECK_FALSE(size.is_auto());
}

TEST_CASE("An automatic batch holds some tens of milliseconds of work", "[batch_size]") {
  CHECK(settled_size(10us) == 250);  // its bound
  CHECK(settled_size(1ms) == 50);
  CHECK(settled_size(10ms) == 5);
  CHECK(settled_size(30ms) == 1);
  CHECK(settled_size(10s) == 1);
  CHECK(settled_size(0us) == 250);   // a clock that stands still
  CHECK(settled_size(-1ms) == 250);  // or worse
}

TEST_CASE("An automatic batch grows only while the queue gives what is asked", "[batch_size]") {
  BatchSize size(0);
  CHECK(size.next() == 1);  // nothing is known
  for (const int expected : {1, 2, 4, 8, 16, 32}) {
    CHECK(size.next() == expected);
    size.claimed(expected, expected);
    for (int m = 0; m < expected; ++m) size.handled(1ms);
  }
  CHECK(size.next() == 50);
  size.claimed(20, 20);  // there was room for no more
  CHECK(size.next() == 50);
  size.claimed(50, 49);
  CHECK(size.next() == 2);
  size.claimed(2, 0);
  CHECK(size.next() == 2);
}

TEST_CASE("While the queue is short an automatic batch holds two milliseconds of work",
          "[batch_size]") {
  for (const auto& [each, expected] : {std::pair<Clock::duration, int>{1us, 32},
                                       {50us, 32},
                                       {100us, 20},
                                       {900us, 2},
                                       {1500us, 1},
                                       {20ms, 1},
                                       {10s, 1}}) {
    BatchSize size(0);
    size.handled(each);
    size.claimed(32, 1);
    CHECK(size.next() == expected);
  }
}

TEST_CASE("A slow message makes an automatic batch smaller at once, and not for long",
          "[batch_size]") {
  BatchSize size(0);
  for (int i = 0; i < 20; ++i) {
    size.claimed(size.next(), size.next());
    size.handled(1ms);
  }
  size.handled(10s);
  CHECK(size.next() == 7);
  size.handled(10s);
  CHECK(size.next() == 1);
  for (int i = 0; i < 40; ++i) {
    size.claimed(size.next(), size.next());
    size.handled(1ms);
  }
  CHECK(size.next() > 20);
}

TEST_CASE("Messages are brief when they take no longer than a settle", "[batch_size]") {
  for (const auto& [each, brief] :
       {std::pair<Clock::duration, bool>{10us, true}, {900us, true}, {2ms, false}, {1s, false}}) {
    BatchSize size(100);
    CHECK_FALSE(size.are_brief());  // nothing is known
    for (int i = 0; i < 20; ++i) size.handled(each);
    CHECK(size.are_brief() == brief);
  }
}

TEST_CASE("Messages that waited for a processor now and then leave an automatic batch large",
          "[batch_size]") {
  BatchSize size(0);
  for (int i = 0; i < 200; ++i) {
    size.claimed(size.next(), size.next());
    size.handled(i % 10 == 0 ? 20ms : 100us);
  }
  CHECK(size.next() > 100);
}

TEST_CASE("After a slow answer claims are half as large, also with a fixed size", "[batch_size]") {
  BatchSize size(50);
  size.claimed(50, 50, 6s);
  CHECK(size.next() == 25);
  size.claimed(25, 25, 1s);
  CHECK(size.next() == 26);  // slowly, as more was too much
}

TEST_CASE("After a failed claim the next is for one message, and they grow to half of it",
          "[batch_size]") {
  BatchSize size(50);
  size.claim_failed(50);
  for (const int wanted : {1, 2, 4, 8, 16, 26, 27}) {
    CHECK(size.next() == wanted);
    size.claimed(wanted, wanted);
  }
  size.begin_with_one();
  CHECK(size.next() == 1);
  size.claimed(1, 0);
  CHECK(size.next() == 1);
  BatchSize never(0);
  never.claim_failed(1);
  CHECK(never.next() == 1);
}
