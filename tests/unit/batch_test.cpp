#include "consumer/batch.h"

#include <memory>
#include <string>

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

const TimePoint kBatchNow{1'000'000ms};
const std::vector<std::size_t> kFirst{0}, kSecond{1}, kThird{2};

Outcome outcome(Outcome::Kind kind) {
  return Outcome{kind};
}

struct Held {
  /// As after claims under these tokens, of one message each; ids begin at 1.
  explicit Held(std::initializer_list<std::int64_t> tokens) {
    std::int64_t id = 0;
    for (const auto token : tokens) {
      ClaimedMessage message;
      message.id = ++id;
      message.token = Token{token};
      batch.begin_claim({message.token});
      batch.add({message});
    }
  }
  /// The ledger's entries by their states, in the order of the batch.
  std::string in_ledger() const {
    std::string text;
    for (const auto& entry : read_ledger(*ledger).entries) {
      text += std::to_string(entry.lease.id) + ":" + std::to_string(static_cast<int>(entry.state)) +
              " ";
    }
    return text;
  }
  std::unique_ptr<Ledger> ledger = std::make_unique<Ledger>();
  LedgerWriter writer{*ledger};
  Batch batch{writer};
};

std::string state_in_ledger(std::int64_t id, MessageState state) {
  return std::to_string(id) + ":" + std::to_string(static_cast<int>(state)) + " ";
}

}  // namespace

TEST_CASE("Done messages of one claim can be settled with the next claim", "[batch]") {
  using Ended = Outcome::Kind;
  Held f({7, 7});
  CHECK_FALSE(f.batch.can_settle_with_claim());  // both wait
  f.batch.start(0, 1, kBatchNow);
  f.batch.end(0, outcome(Ended::done));
  CHECK_FALSE(f.batch.can_settle_with_claim());  // one still waits
  f.batch.start(1, 1, kBatchNow);

  SECTION("when all are done") {
    f.batch.end(1, outcome(Ended::done));
    CHECK(f.batch.can_settle_with_claim());
  }
  SECTION("and what is lost does not matter") {
    f.batch.lose(1);
    f.batch.end(1, outcome(Ended::retry));
    CHECK(f.batch.can_settle_with_claim());
  }
  SECTION("but nothing when one failed") {
    f.batch.end(1, outcome(Ended::retry));
    CHECK_FALSE(f.batch.can_settle_with_claim());
  }
  SECTION("nor when one is in doubt") {
    f.batch.end(1, outcome(Ended::done));
    f.batch.begin_settle(kSecond);
    f.batch.unanswered(kSecond);
    CHECK_FALSE(f.batch.can_settle_with_claim());
  }
  SECTION("nor when a row is locked") {
    f.batch.end(1, outcome(Ended::done));
    f.batch.begin_settle(kSecond);
    f.batch.defer(1, kBatchNow);
    CHECK_FALSE(f.batch.can_settle_with_claim());
  }
}

TEST_CASE("Done messages of two claims need a settle of their own", "[batch]") {
  Held f({7, 8});
  for (const std::size_t i : {0, 1}) {
    f.batch.start(i, 1, kBatchNow);
    f.batch.end(i, outcome(Outcome::Kind::done));
  }
  CHECK_FALSE(f.batch.can_settle_with_claim());
}

TEST_CASE("Several messages of a batch may run at once", "[batch]") {
  Held f({7, 7, 7});
  f.batch.start(0, 1, kBatchNow);
  f.batch.start(2, 1, kBatchNow);
  CHECK(f.batch.any_waits());
  CHECK(f.batch.leases_from(0).size() == 3);
  f.batch.end(2, outcome(Outcome::Kind::done));
  CHECK(f.batch.leases_from(0).size() == 2);
  CHECK(f.in_ledger() == state_in_ledger(1, MessageState::running) +
                             state_in_ledger(2, MessageState::waiting) +
                             state_in_ledger(3, MessageState::ended));
  f.batch.begin_settle(kThird);
  CHECK(f.in_ledger() == state_in_ledger(1, MessageState::running) +
                             state_in_ledger(2, MessageState::waiting) +
                             state_in_ledger(3, MessageState::settling));
  f.batch.settled(2);
  CHECK_FALSE(f.batch.forget_settled());
  CHECK(f.batch.size() == 3);
}

TEST_CASE("A batch drops settled messages and keeps the order of the rest", "[batch]") {
  Held f({7, 7, 7, 7});
  for (const std::size_t i : {0, 1, 2}) f.batch.end(i, outcome(Outcome::Kind::released));
  f.batch.lose(3);
  f.batch.begin_settle(std::vector<std::size_t>{1, 2});
  f.batch.settled(1);
  f.batch.defer(2, kBatchNow);
  CHECK(f.batch.forget_settled());
  REQUIRE(f.batch.size() == 2);
  CHECK(f.batch[0].message.id == 1);
  CHECK(f.batch[1].message.id == 3);
  CHECK(f.in_ledger() ==
        state_in_ledger(1, MessageState::ended) + state_in_ledger(3, MessageState::ended));
  f.batch.begin_settle(std::vector<std::size_t>{0, 1});
  f.batch.settled(0);
  f.batch.settled(1);
  CHECK(f.batch.forget_settled());
  CHECK(f.batch.empty());
  CHECK(f.in_ledger().empty());
}

TEST_CASE("A locked row is settled after ever longer waits", "[batch]") {
  Held f({7});
  f.batch.end(0, outcome(Outcome::Kind::released));
  for (const Millis wait : {1000ms, 2000ms, 4000ms, 8000ms, 10'000ms, 10'000ms}) {
    f.batch.begin_settle(kFirst);
    f.batch.defer(0, kBatchNow);
    CHECK(f.batch[0].settle_at == kBatchNow + wait);
  }
}

TEST_CASE("An impossible transition of a message aborts", "[batch]") {
  Held f({7});
  CHECK_THROWS_WITH(f.batch.settled(0), "message 1 is waiting: event 'settled' cannot happen");
  f.batch.start(0, 1, kBatchNow);
  CHECK_THROWS_WITH(f.batch.start(0, 1, kBatchNow),
                    "message 1 is running: event 'start' cannot happen");
}

TEST_CASE("After a run that lost its lease the deadline of no run is left", "[batch]") {
  Held f({7, 7});
  f.batch.start(0, 1, kBatchNow);
  f.batch.lose(0);
  CHECK(f.ledger->run_until_ms.load() != 0);
  f.batch.end(0, outcome(Outcome::Kind::retry));
  CHECK(f.ledger->run_until_ms.load() == 0);
}
