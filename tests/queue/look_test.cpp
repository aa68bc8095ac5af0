// Nothing stays below the marks, whatever commits late, comes back or is lost meanwhile.
#include <poll.h>

#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "maintenance/look_plan.h"
#include "maintenance/writer_log.h"
#include "queue/database.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

/// What maintenance does for the marks, without its schedule.
class Looker {
 public:
  explicit Looker(Queue& queue) : queue_(queue) {}
  /// Looks once; returns how many messages got a new place.
  std::int64_t look(const Marks& marks) {
    plan_.add(writers_.learn(queue_.open_writers(marks)), marks);
    std::int64_t moved = 0;
    for (auto ranges = plan_.next(kMaxNumber, Clock::now()); !ranges.empty();
         ranges = plan_.next(kMaxNumber, Clock::now())) {
      const Sweep found = queue_.sweep(ranges, plan_.bucket_bits());
      plan_.looked(ranges, found, Clock::now());
      moved += found.moved;
    }
    return moved;
  }

 private:
  Queue& queue_;
  WriterLog writers_;
  LookPlan plan_{2};  // small buckets hide no mistake
};

/// The marks of a fleet, without a fleet.
class SharedMarks {
 public:
  Marks read() {
    const std::lock_guard lock(mutex_);
    return marks_;
  }
  void raise(const std::vector<ClaimedMessage>& messages) {
    const std::lock_guard lock(mutex_);
    for (const auto& m : messages) {
      auto& mark = marks_[lane_of(m.place)];
      mark = std::max(mark, number_of(m.place));
    }
  }

 private:
  std::mutex mutex_;
  Marks marks_{};
};

/// Runs a function again and again, in a thread and a session of its own, until it goes.
class Actor {
 public:
  template <typename Step>
  Actor(Database& db, unsigned seed, std::atomic<bool>& stop, Step step)
      : thread_([&db, seed, &stop, step] {
          Connection connection(settings_for(db.conninfo));
          Queue queue(connection, "q");
          Sql sql(db.conninfo);
          std::mt19937 dice(seed);
          while (!stop) step(queue, sql, dice);
        }) {}
  Actor(Actor&&) = default;
  ~Actor() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
};

void pause_ms(std::mt19937& dice, unsigned most) {
  ::poll(nullptr, 0, static_cast<int>(dice() % (most + 1)));  // a pace, not a wait
}

}  // namespace

TEST_CASE("A writer that one view misses, as nothing newer had ended, is found when it commits",
          "[look]") {
  Database db;
  Looker looker(db.queue);
  Sql late(db.conninfo), other(db.conninfo);
  for (int i = 0; i < 3; ++i) looker.look({});
  late.query("begin");
  const auto id = late.number("select pgforeman.send('q', '1')");
  other.query("select count(nextval('pgforeman.message_id_seq')) from generate_series(1, 20)");
  // Nothing with a higher number has ended: this view does not show the writer.
  REQUIRE(other.query("select pg_snapshot_xip(pg_current_snapshot())::text") == "");
  looker.look({});
  const auto newer = db.send();
  REQUIRE(db.claim(9).size() == 1);
  looker.look(fresh_mark(newer));  // here it is
  looker.look(fresh_mark(newer));
  late.query("commit");
  CHECK(looker.look(fresh_mark(newer)) == 1);
  CHECK(db.queue.claim(9, {Token{99}, fresh_mark(newer)}, Millis{60000}).at(0).id == id);
}

TEST_CASE("A prepared transaction is open until it is committed", "[look]") {
  Database db;
  Looker looker(db.queue);
  Sql late(db.conninfo);
  late.query("begin");
  late.query("select pgforeman.send('q', '1')");
  late.query("prepare transaction 'later'");
  const auto newer = db.send();
  REQUIRE(db.claim(9).size() == 1);
  for (int i = 0; i < 5; ++i) CHECK(looker.look(fresh_mark(newer)) == 0);
  db.sql.query("commit prepared 'later'");
  CHECK(looker.look(fresh_mark(newer)) == 1);
}

TEST_CASE("No message stays below the marks of a busy fleet", "[look]") {
  Database db;
  SharedMarks marks;
  std::atomic<bool> stop{false}, drained{false};
  std::atomic<std::int64_t> token{1}, moved{0};
  const auto seed = static_cast<unsigned>(std::random_device{}());
  CAPTURE(seed);
  {
    std::vector<Actor> maintenance, consumers, senders;
    maintenance.emplace_back(db, seed, drained, [&](Queue& queue, Sql&, std::mt19937&) {
      static thread_local std::unique_ptr<Looker> looker;
      if (!looker) looker = std::make_unique<Looker>(queue);
      moved += looker->look(marks.read());
      queue.tick();
      ::poll(nullptr, 0, 20);  // a pace, not a wait
    });
    for (unsigned i = 1; i <= 3; ++i) {
      consumers.emplace_back(db, seed + i, drained, [&](Queue& queue, Sql&, std::mt19937& dice) {
        const auto messages = queue.claim(static_cast<int>(1 + dice() % 5),
                                          {Token{token++}, marks.read()}, Millis{300});
        marks.raise(messages);
        if (messages.empty()) pause_ms(dice, 5);
        std::vector<Settlement> settlements;
        for (const auto& m : messages) {
          const auto fate = dice() % 20;  // of twenty one is lost, two come back, one later
          if (fate == 0) continue;
          settlements.push_back({m.lease(), fate == 1   ? released()
                                            : fate == 2 ? retry("x", Millis{0})
                                            : fate == 3 ? retry("x", Millis{30})
                                                        : done()});
        }
        RetryRule rule;
        rule.max_attempts = 1000;
        if (!settlements.empty()) queue.settle(settlements, rule);
      });
    }
    for (unsigned i = 4; i <= 8; ++i) {
      senders.emplace_back(db, seed + i, stop, [](Queue&, Sql& sql, std::mt19937& dice) {
        sql.query("begin");
        if (dice() % 3 == 0) pause_ms(dice, 30);
        sql.query("select pgforeman.send('q', '1', priority => " + std::to_string(dice() % 4) +
                  (dice() % 5 == 0 ? ", delay => '20 ms')" : ")"));
        if (dice() % 3 == 0) pause_ms(dice, 120);
        sql.query(dice() % 10 == 0 ? "rollback" : "commit");
        pause_ms(dice, 20);
      });
    }
    const auto until = Clock::now() + Millis{5000};
    CHECK(eventually([&] { return Clock::now() > until; }, std::chrono::seconds(10)));
    stop = true;
    senders.clear();
    CHECK(eventually([&] { return db.left() == 0; }, std::chrono::seconds(10)));
    drained = true;
  }
  CHECK(moved > 10);
}
