// A fleet in which every run fails slows down, and only such a fleet.
#include "fleet/brake.h"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

const TimePoint kStart{1'000'000ms};
constexpr std::uint64_t kProgram = 7;

struct BrakeFixture {
  explicit BrakeFixture(Millis backoff = 1s) : brake(board, kProgram, backoff, 5) {
    board.program.store(kProgram);
  }
  bool fail(std::int64_t id, TimePoint at = kStart) { return brake.failed(id, false, at); }

  HandlerBoard board{};
  Brake brake;
};

Outcome failure(Outcome::Kind kind = Outcome::Kind::retry) {
  Outcome outcome;
  outcome.kind = kind;
  return outcome;
}

/// A queue whose handler always fails: what becomes of its messages within `time`.
struct Simulated {
  int runs = 0, dead = 0;
};
Simulated simulate(int messages, int consumers, Millis run_time, Outcome::Kind kind, Millis time,
                   int budget = 5) {
  struct Row {
    TimePoint due = kStart;
    int failures = 0;
  };
  BrakeFixture fleet;
  std::vector<Row> rows(static_cast<std::size_t>(messages));
  struct Consumer {
    TimePoint free_at = kStart;
    std::int64_t row = -1;
    bool probe = false;
  };
  std::vector<Consumer> workers(static_cast<std::size_t>(consumers));
  Simulated result;
  for (TimePoint now = kStart; now < kStart + time; now += 10ms) {
    for (Consumer& worker : workers) {
      if (worker.free_at > now) continue;
      if (worker.row >= 0) {
        Row& row = rows[static_cast<std::size_t>(worker.row)];
        fleet.brake.failed(worker.row + 1, worker.probe, now);
        ++row.failures;
        ++result.runs;
        row.due = now + (fleet.brake.is_on() ? fleet.brake.delay(failure(kind), row.failures)
                                             : Millis{1000} * (1 << (row.failures - 1)));
        if (row.failures >= budget) {
          ++result.dead;
          row.due = TimePoint::max();
        }
        worker = {now, -1, false};
      }
      if (fleet.brake.is_on() && !(worker.probe = fleet.brake.take_probe(now))) continue;
      // Retried messages come before fresh ones.
      std::int64_t next = -1;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i].due > now) continue;
        if (next < 0 ||
            (rows[i].failures > 0 && rows[static_cast<std::size_t>(next)].failures == 0))
          next = static_cast<std::int64_t>(i);
      }
      if (next < 0) {
        if (worker.probe) fleet.brake.give_back(now);
        worker.probe = false;
        continue;
      }
      rows[static_cast<std::size_t>(next)].due = TimePoint::max();
      worker.row = next;
      worker.free_at = now + run_time;
    }
  }
  return result;
}

}  // namespace

TEST_CASE("Three messages that fail before any succeeded put the brake on", "[brake]") {
  BrakeFixture fleet;
  CHECK_FALSE(fleet.fail(1));
  CHECK_FALSE(fleet.fail(2));
  CHECK_FALSE(fleet.brake.is_on());
  CHECK(fleet.fail(3));
  CHECK(fleet.brake.is_on());
  CHECK_FALSE(fleet.fail(4));  // said once
}

TEST_CASE("One message alone never puts the brake on, two do after six runs", "[brake]") {
  BrakeFixture fleet;
  for (int i = 0; i < 100; ++i) CHECK_FALSE(fleet.fail(1));
  CHECK(fleet.fail(2));
  BrakeFixture other;
  for (int i = 0; i < 5; ++i) CHECK_FALSE(other.fail(1 + i % 2));
  CHECK(other.fail(2));
}

TEST_CASE("Where runs succeeded before, a streak of failures needs ten runs and five seconds",
          "[brake]") {
  BrakeFixture fleet;
  fleet.brake.succeeded();
  // However long ago the success was: the time counts from the streak's first failure.
  const TimePoint begin = kStart + 60s;
  for (int id = 1; id <= 50; ++id) CHECK_FALSE(fleet.fail(id, begin + id * 90ms));
  CHECK(fleet.fail(51, begin + 90ms + 5s));
  BrakeFixture slow;
  slow.brake.succeeded();
  for (int id = 1; id <= 9; ++id) CHECK_FALSE(slow.fail(id, kStart + id * 60s));
  CHECK(slow.fail(10, kStart + 600s));
}

TEST_CASE("Where runs succeeded before, a probe comes every two seconds, and what fails waits long",
          "[brake]") {
  BrakeFixture fleet;
  fleet.brake.succeeded();
  for (int id = 1; id <= 20; ++id) fleet.fail(id, kStart + id * 1s);
  REQUIRE(fleet.brake.is_on());
  TimePoint now = kStart + 60s;
  for (int i = 0; i < 20; ++i) {
    REQUIRE(fleet.brake.take_probe(now));
    fleet.brake.failed(100 + i, true, now);
    CHECK(fleet.brake.interval() <= 2s);
    now = fleet.brake.next_probe(now);
  }
  // Longer than the probes need for all that waits before a good one.
  CHECK(fleet.brake.delay(failure(), 1) == 10min);
}

TEST_CASE("A fleet in which one run of a hundred succeeds is never slowed down", "[brake]") {
  BrakeFixture fleet;
  TimePoint now = kStart;
  fleet.brake.succeeded();
  for (int run = 1; run < 100'000; ++run) {
    now += 10ms;
    if (run % 100 == 0) {
      fleet.brake.succeeded();
    } else {
      REQUIRE_FALSE(fleet.fail(run, now));
    }
  }
}

TEST_CASE("One consumer at a time gets a probe, after 1, 2, 4 ... 60 seconds", "[brake]") {
  BrakeFixture fleet;
  for (int id = 1; id <= 3; ++id) fleet.fail(id);
  TimePoint now = kStart;
  for (const auto wait : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    CHECK(fleet.brake.next_probe(now) == now + wait);
    CHECK_FALSE(fleet.brake.take_probe(now + wait - 1ms));
    now += wait;
    CHECK(fleet.brake.take_probe(now));
    CHECK_FALSE(fleet.brake.take_probe(now));
    fleet.fail(9, now);  // one that had begun before: not the probe
    CHECK(fleet.brake.is_on());
    fleet.brake.failed(4, true, now);
  }
}

TEST_CASE("A success takes the brake off at once", "[brake]") {
  BrakeFixture fleet;
  for (int id = 1; id <= 3; ++id) fleet.fail(id);
  CHECK(fleet.brake.succeeded());
  CHECK_FALSE(fleet.brake.is_on());
  CHECK_FALSE(fleet.brake.succeeded());
}

TEST_CASE("An unused or lost probe goes to the next consumer", "[brake]") {
  BrakeFixture fleet;
  for (int id = 1; id <= 3; ++id) fleet.fail(id);
  CHECK(fleet.brake.take_probe(kStart + 1s));
  fleet.brake.give_back(kStart + 1s);
  CHECK(fleet.brake.take_probe(kStart + 1s));
  CHECK_FALSE(fleet.brake.take_probe(kStart + 60s));
  CHECK(fleet.brake.take_probe(kStart + 61s));
}

TEST_CASE("A failed start of a probe makes the next one wait longer", "[brake]") {
  BrakeFixture fleet;
  fleet.brake.probe_not_started(kStart);
  CHECK_FALSE(fleet.brake.is_on());
  for (int id = 1; id <= 3; ++id) fleet.fail(id);
  const Millis before = fleet.brake.interval();
  CHECK(fleet.brake.take_probe(kStart + 1s));
  fleet.brake.probe_not_started(kStart + 1s);
  CHECK(fleet.brake.interval() == 2 * before);
  CHECK_FALSE(fleet.brake.take_probe(kStart + 1s));
}

TEST_CASE("Runs of a replaced handler program do not change the brake", "[brake]") {
  BrakeFixture fleet;
  Brake old(fleet.board, kProgram + 2, 1s, 5);
  for (int id = 1; id <= 5; ++id) CHECK_FALSE(old.failed(id, false, kStart));
  CHECK_FALSE(old.succeeded());
  CHECK_FALSE(fleet.brake.is_on());
  CHECK(fleet.board.worked.load() == 0);
}

TEST_CASE("With any values in shared memory no wait exceeds a minute", "[brake]") {
  for (const std::int64_t word : {std::int64_t{0}, std::int64_t{-1}, INT64_MAX, INT64_MIN / 2}) {
    BrakeFixture fleet;
    fleet.board.braking.store(1);
    fleet.board.probe_at_ms.store(word > INT64_MAX / 2 ? to_ms(kStart + 1000h) : word);
    fleet.board.interval_ms.store(word);
    CHECK(fleet.brake.next_probe(kStart) <= kStart + 60s);
    CHECK(fleet.brake.interval() >= 1ms);
    CHECK(fleet.brake.interval() <= 60s);
    CHECK(fleet.brake.take_probe(kStart));
  }
}

TEST_CASE("A handler that always fails makes no dead letters for ten minutes", "[brake]") {
  struct Case {
    int consumers;
    Millis run_time;
    Outcome::Kind kind;
    int budget;
  };
  for (const Case& c : {Case{1, 20ms, Outcome::Kind::retry, 5},
                        {2, 20ms, Outcome::Kind::retry, 5},
                        {8, 20ms, Outcome::Kind::retry, 5},
                        {1, 10s, Outcome::Kind::retry, 5},
                        {2, 1s, Outcome::Kind::retry, 5},
                        {4, 20ms, Outcome::Kind::crash, 3}}) {
    const Simulated seen = simulate(500, c.consumers, c.run_time, c.kind, 10min, c.budget);
    INFO(c.consumers << " consumers, " << c.run_time.count() << " ms a run: " << seen.runs
                     << " runs, " << seen.dead << " dead letters");
    CHECK(seen.dead <= c.consumers);
    CHECK(seen.runs <= 40);
  }
}
