// Claims that several consumers make as one: who makes them, and what becomes of them whoever
// fails.
#include "scoreboard/combining.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "scoreboard/scoreboard.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

using Part = Combining::Part;

/// What stands in the word of a claim.
constexpr std::uint32_t kPublished = 1, kAnswered = 5;

/// Consumers of one fleet, each in a thread of its own while it waits.
struct Siblings {
  /// However slow the machine is, no turn is over but by its end.
  explicit Siblings(int count = 4, Millis turn = 60s) {
    for (int i = 0; i < count; ++i) {
      SlotWriter(board.slot(i)).enter(Phase::claiming, Clock::now(), 20s);
      of.push_back(std::make_unique<Combining>(board, i, turn));
    }
  }
  static OneClaim claim_of(int slot) {
    return {100 + slot, {1, 2, 3, slot}, {10 + slot, 50 + slot}};
  }
  Part publish(int slot) {
    return of[static_cast<std::size_t>(slot)]->publish(claim_of(slot),
                                                       [this] { return withdraw.load(); });
  }
  std::future<Part> publish_beside(int slot) {
    auto part = std::async(std::launch::async, [this, slot] { return publish(slot); });
    REQUIRE(wait_for([&] { return is_published(slot) || is_over(part); }));
    return part;
  }
  bool is_published(int slot) {
    const bool bit = (board.fleet().published[0].load() >> static_cast<unsigned>(slot) & 1U) != 0;
    return bit && board.published_claim(slot).word.load() == kPublished;
  }
  static bool is_over(const std::future<Part>& part) {
    return part.wait_for(0s) == std::future_status::ready;
  }
  static bool wait_for(const std::function<bool()>& condition) {
    for (const auto until = Clock::now() + 10s; Clock::now() < until;) {
      if (condition()) return true;
      std::this_thread::yield();
    }
    return false;
  }

  Scoreboard board;
  std::vector<std::unique_ptr<Combining>> of;
  std::atomic<bool> withdraw = false;
};

Message message_for(int slot, const std::string& payload = "{}") {
  Message message;
  message.lease = {1000 + slot, 100 + slot};
  message.lane = 5;
  message.attempt = 2;
  message.fence = 7;
  message.fruitless = 1;
  message.enqueued_at = std::chrono::sys_time<std::chrono::microseconds>{1234567us};
  message.payload = payload;
  message.headers = R"({"a": 1})";
  return message;
}

}  // namespace

TEST_CASE("Who claims while nobody else does claims alone, as often as it likes", "[combining]") {
  Siblings fleet;
  for (int i = 0; i < 3; ++i) {
    CHECK(fleet.publish(0) == Part::combines);
    CHECK(fleet.of[0]->gather(false).size() == 1);
    fleet.of[0]->end();
  }
  CHECK(fleet.publish(1) == Part::combines);
}

TEST_CASE("Whoever waits goes along with the next claim, and gets what is its own", "[combining]") {
  Siblings fleet;
  REQUIRE(fleet.publish(0) == Part::combines);
  auto second = fleet.publish_beside(1);
  auto third = fleet.publish_beside(2);
  const auto all = fleet.of[0]->gather(false);
  REQUIRE(all.size() == 3);
  for (int i = 0; i < 3; ++i) {
    const OneClaim claim = Siblings::claim_of(i);
    const OneClaim& gathered = all[static_cast<std::size_t>(i)];
    CHECK(gathered.token == claim.token);
    CHECK(gathered.marks == claim.marks);
    CHECK(gathered.done.id == claim.done.id);
    CHECK(gathered.done.token == claim.done.token);
  }
  const auto left = fleet.of[0]->answer_all({message_for(2, "[1, 2]"), message_for(0)}, true);
  REQUIRE(left.size() == 1);
  CHECK(left[0].lease.token == 100);

  REQUIRE(second.get() == Part::answered);
  const auto none = fleet.of[1]->answer();
  CHECK_FALSE(none.message);
  CHECK(none.look_again);

  REQUIRE(third.get() == Part::answered);
  const auto answer = fleet.of[2]->answer();
  REQUIRE(answer.message);
  CHECK(answer.fits);
  const Message& got = *answer.message;
  const Message sent = message_for(2, "[1, 2]");
  CHECK(got.lease.id == sent.lease.id);
  CHECK(got.lease.token == sent.lease.token);
  CHECK(got.lane == sent.lane);
  CHECK(got.attempt == sent.attempt);
  CHECK(got.fence == sent.fence);
  CHECK(got.fruitless == sent.fruitless);
  CHECK(got.enqueued_at == sent.enqueued_at);
  CHECK(got.payload == sent.payload);
  CHECK(got.headers == sent.headers);
}

TEST_CASE("Whoever comes while a claim is under way makes the next one", "[combining]") {
  Siblings fleet;
  REQUIRE(fleet.publish(0) == Part::combines);
  REQUIRE(fleet.of[0]->gather(false).size() == 1);
  auto second = fleet.publish_beside(1);
  fleet.of[0]->end();
  REQUIRE(second.get() == Part::combines);
  auto third = fleet.publish_beside(2);
  CHECK(fleet.of[1]->gather(false).size() == 2);
  fleet.of[1]->fail_all(false);
  CHECK(third.get() == Part::failed);
}

TEST_CASE("A payload that has no room stays in the database", "[combining]") {
  Siblings fleet;
  for (const auto& [size, fits] :
       {std::pair{SealedAnswer::kRoom - 8, true}, std::pair{SealedAnswer::kRoom - 7, false}}) {
    REQUIRE(fleet.publish(0) == Part::combines);
    auto second = fleet.publish_beside(1);
    REQUIRE(fleet.of[0]->gather(false).size() == 2);
    CHECK(fleet.of[0]->answer_all({message_for(1, std::string(size, 'x'))}, false).empty());
    REQUIRE(second.get() == Part::answered);
    const auto answer = fleet.of[1]->answer();
    REQUIRE(answer.message);
    CHECK(answer.fits == fits);
    CHECK(answer.message->lease.id == 1001);
    CHECK(answer.message->payload.size() == (fits ? size : 0));
  }
  // What the database kept has none.
  REQUIRE(fleet.publish(0) == Part::combines);
  auto second = fleet.publish_beside(1);
  REQUIRE(fleet.of[0]->gather(false).size() == 2);
  CHECK(fleet.of[0]->answer_all({message_for(1, "")}, false).empty());
  REQUIRE(second.get() == Part::answered);
  CHECK_FALSE(fleet.of[1]->answer().fits);
}

TEST_CASE("What a combiner asked when it failed is known to nobody", "[combining]") {
  Siblings fleet;
  REQUIRE(fleet.publish(0) == Part::combines);
  auto second = fleet.publish_beside(1);
  REQUIRE(fleet.of[0]->gather(false).size() == 2);

  SECTION("it says so") {
    fleet.of[0]->fail_all(true);
    CHECK(second.get() == Part::unknown);
  }
  SECTION("it says nothing more") {
    fleet.of[0]->end();
    CHECK(second.get() == Part::unknown);
  }
  SECTION("it died") {
    fleet.board.slot(0).beat.store(0);
    REQUIRE(second.wait_for(2s) == std::future_status::ready);  // not at the end of its patience
    REQUIRE(second.get() == Part::unknown);
    // The next one is its own again, when that turn is over.
    fleet.board.fleet().combining_until_ms[0].store(0);
    CHECK(fleet.publish(1) == Part::combines);
  }
  SECTION("another has lived in its slot since, before anybody looked") {
    fleet.board.slot(0).epoch.fetch_add(1);
    REQUIRE(second.wait_for(2s) == std::future_status::ready);
    CHECK(second.get() == Part::unknown);
  }
  SECTION("it was stopped, and what it got for others afterwards goes back") {
    REQUIRE(second.get() == Part::unknown);
    auto again = fleet.publish_beside(1);
    const auto left = fleet.of[0]->answer_all({message_for(0), message_for(1)}, false);
    REQUIRE(left.size() == 2);
    CHECK(left[1].lease.token == 101);
    CHECK(again.get() == Part::combines);
  }
}

TEST_CASE("A turn that nobody ends is over soon", "[combining]") {
  Siblings fleet(4, Combining::kTurn);
  REQUIRE(fleet.publish(0) == Part::combines);
  CHECK(fleet.publish(1) == Part::combines);
  // Its end is not the end of another's, and hands nothing over.
  const auto held = fleet.board.fleet().combining_until_ms[0].load();
  fleet.board.fleet().combining_until_ms[0].store(held - 1);
  auto third = fleet.publish_beside(2);
  fleet.of[1]->end();
  CHECK(fleet.board.fleet().combining_until_ms[0].load() != 0);
  CHECK(third.get() == Part::combines);
}

TEST_CASE("Who is told to end, or waits for too long, claims no more with others", "[combining]") {
  Siblings fleet;
  REQUIRE(fleet.publish(0) == Part::combines);
  auto second = fleet.publish_beside(1);
  SECTION("it is told to end") {
    fleet.withdraw = true;
  }
  SECTION("nobody takes it along") {}
  CHECK(second.get() == Part::alone);
  CHECK(fleet.of[0]->gather(false).size() == 1);
}

TEST_CASE("A claim whose bit got lost is found all the same", "[combining]") {
  Siblings fleet;
  REQUIRE(fleet.publish(0) == Part::combines);
  auto second = fleet.publish_beside(1);
  fleet.board.fleet().published[0].store(0);
  REQUIRE(Siblings::wait_for([&] { return fleet.is_published(1); }));
  fleet.of[0]->end();
  CHECK(second.get() == Part::combines);
}

TEST_CASE("Where many wait somebody claims beside the one who does", "[combining]") {
  Siblings fleet(40);
  REQUIRE(fleet.publish(0) == Part::combines);
  std::vector<std::future<Part>> others;
  for (int i = 1; i < 20; ++i) others.push_back(fleet.publish_beside(i));
  REQUIRE(Siblings::wait_for(
      [&] { return std::count_if(others.begin(), others.end(), Siblings::is_over) > 0; }));
  const auto second = std::find_if(others.begin(), others.end(), Siblings::is_over);
  CHECK(second->get() == Part::combines);
  Combining& combiner = *fleet.of[static_cast<std::size_t>(second - others.begin()) + 1];
  CHECK(combiner.gather(false).size() > 10);
  combiner.fail_all(false);
  for (auto other = others.begin(); other != others.end(); ++other) {
    if (other == second) continue;
    if (other->get() == Part::combines)
      fleet.of[static_cast<std::size_t>(other - others.begin()) + 1]->end();
  }
}

TEST_CASE("Nobody claims for the dead", "[combining]") {
  Siblings fleet;
  REQUIRE(fleet.publish(0) == Part::combines);
  auto dead = fleet.publish_beside(1);
  SECTION("the supervisor has seen it") {
    forget_published_claim(fleet.board, 1);
  }
  SECTION("or is about to") {
    fleet.board.slot(1).beat.store(0);
  }
  CHECK(fleet.of[0]->gather(false).size() == 1);
  CHECK(dead.get() == Part::unknown);
}

TEST_CASE("No two claims of one call have the same token", "[combining]") {
  Siblings fleet;
  REQUIRE(fleet.publish(0) == Part::combines);
  auto second = fleet.publish_beside(1);
  auto third = fleet.publish_beside(2);
  // Somebody wrote there what is another's, or nobody's.
  fleet.board.published_claim(1).claim.token = Siblings::claim_of(0).token;
  fleet.board.published_claim(2).claim.token = 0;
  fleet.board.published_claim(0).word.store(kPublished);
  fleet.board.fleet().published[0].fetch_or(1);
  CHECK(fleet.of[0]->gather(false).size() == 1);
  CHECK(second.get() == Part::unknown);
  CHECK(third.get() == Part::unknown);
}

TEST_CASE("What was claimed for one that died meanwhile goes back", "[combining]") {
  Siblings fleet;
  REQUIRE(fleet.publish(0) == Part::combines);
  auto dead = fleet.publish_beside(1);
  REQUIRE(fleet.of[0]->gather(false).size() == 2);
  forget_published_claim(fleet.board, 1);
  CHECK(fleet.of[0]->answer_all({message_for(1)}, false).size() == 1);
  CHECK(dead.get() == Part::unknown);
}

TEST_CASE("Whatever stands in shared memory, a claim comes to an end", "[combining]") {
  Siblings fleet;
  for (std::uint32_t garbage :
       {0x1U, 0x5U, 0x2U, 0x7fffffffU, 0xffffff03U, 0xffffff05U, 0xffffffffU}) {
    for (int i = 0; i < kMaxConsumers; ++i) fleet.board.published_claim(i).word.store(garbage);
    for (auto& bits : fleet.board.fleet().published) bits.store(~std::uint64_t{0});
    for (auto& turn : fleet.board.fleet().combining_until_ms) turn.store(garbage);
    fleet.board.fleet().combined.store(garbage);
    fleet.board.fleet().gathered_to.store(garbage);
    fleet.board.published_claim(0).turn = garbage;
    const Part part = fleet.publish(0);
    if (part == Part::combines) {
      CHECK(fleet.of[0]->gather(true).size() == 1);
      fleet.of[0]->end();
    } else {
      CHECK((part == Part::alone || part == Part::unknown));
    }
  }
}

TEST_CASE("An answer that somebody wrote over is none", "[combining]") {
  const std::vector<std::pair<std::function<void(PublishedClaim&)>, Part>> cases{
      {[](PublishedClaim&) {}, Part::answered},
      {[](PublishedClaim& its) { its.answer.text[1] = 'y'; }, Part::unknown},
      {[](PublishedClaim& its) { its.answer.head.id += 1; }, Part::unknown},
      {[](PublishedClaim& its) { its.answer.head.token += 1; }, Part::unknown},
      {[](PublishedClaim& its) { its.answer.head.payload_size = -1; }, Part::unknown},
      {[](PublishedClaim& its) { its.answer.head.headers_size = SealedAnswer::kRoom; },
       Part::unknown},
      {[](PublishedClaim& its) { its.answer.seal = 0; }, Part::unknown}};
  for (const auto& [spoil, expected] : cases) {
    Siblings fleet;
    REQUIRE(fleet.publish(0) == Part::combines);
    auto before = fleet.publish_beside(1);
    REQUIRE(fleet.of[0]->gather(false).size() == 2);
    fleet.of[0]->answer_all({message_for(1)}, false);
    REQUIRE(before.get() == Part::answered);
    PublishedClaim& its = fleet.board.published_claim(1);
    // The same answer once more, written by another hand.
    REQUIRE(fleet.publish(0) == Part::combines);
    auto again = fleet.publish_beside(1);
    REQUIRE(fleet.of[0]->gather(false).size() == 2);
    spoil(its);
    its.word.store(kAnswered);
    CHECK(again.get() == expected);
  }
}
