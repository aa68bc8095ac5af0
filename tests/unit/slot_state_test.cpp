#include "supervisor/slot_state.h"

#include <chrono>
#include <stdexcept>

#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

using SlotLife = SlotState::Life;

const TimePoint kSlotNow{1000s};
const PhaseLimits kSlotLimits{Options{}};

SlotState alive_slot() {
  SlotState slot;
  slot.want(kSlotNow);
  slot.forked(kSlotLimits, kSlotNow);
  return slot;
}

}  // namespace

TEST_CASE("A slot is absent until it is wanted, and due at once then", "[slot_state]") {
  SlotState slot;
  CHECK(slot.life() == SlotLife::absent);
  slot.unwant();
  CHECK(slot.life() == SlotLife::absent);
  slot.want(kSlotNow);
  CHECK(slot.life() == SlotLife::due);
  CHECK(slot.due_at() == kSlotNow);
  slot.unwant();
  CHECK(slot.life() == SlotLife::absent);
}

TEST_CASE("A wanted slot is due again when its child has ended", "[slot_state]") {
  SlotState slot = alive_slot();
  CHECK(slot.life() == SlotLife::alive);
  slot.want(kSlotNow + 1s);
  CHECK(slot.life() == SlotLife::alive);
  slot.ended(kSlotNow + 2s);
  CHECK(slot.life() == SlotLife::due);
  CHECK(slot.due_at() == kSlotNow + 2s);
}

TEST_CASE("An unwanted slot keeps its child and is absent when that has ended", "[slot_state]") {
  SlotState slot = alive_slot();
  slot.unwant();
  CHECK(slot.life() == SlotLife::alive);
  slot.ended(kSlotNow);
  CHECK(slot.life() == SlotLife::absent);
}

TEST_CASE("A slot that is wanted again before its child has ended is due then", "[slot_state]") {
  SlotState slot = alive_slot();
  slot.unwant();
  slot.want(kSlotNow);
  slot.ended(kSlotNow);
  CHECK(slot.life() == SlotLife::due);
}

TEST_CASE("A slot that is wanted again keeps its backoff", "[slot_state]") {
  SlotState slot = alive_slot();
  slot.ended(kSlotNow);
  slot.delay(kSlotNow + 5s);
  slot.want(kSlotNow + 1s);
  CHECK(slot.due_at() == kSlotNow + 5s);
}

TEST_CASE("Only a slot that is due can be delayed", "[slot_state]") {
  SlotState slot = alive_slot();
  slot.delay(kSlotNow + 5s);
  slot.ended(kSlotNow + 1s);
  CHECK(slot.due_at() == kSlotNow + 1s);
}

TEST_CASE("A slot refuses an event that its life does not allow", "[slot_state]") {
  SlotState slot;
  CHECK_THROWS_AS(slot.forked(kSlotLimits, kSlotNow), std::logic_error);
  CHECK_THROWS_AS(slot.ended(kSlotNow), std::logic_error);
  slot = alive_slot();
  CHECK_THROWS_AS(slot.forked(kSlotLimits, kSlotNow), std::logic_error);
}

TEST_CASE("A new child inherits its slot's health but not its last child's end", "[slot_state]") {
  SlotState slot = alive_slot();
  slot.healthy_since = kSlotNow;
  slot.reported = slot.reached_waiting = slot.stale = slot.drained = true;
  slot.drain_sent_at = slot.killed_at = kSlotNow;
  slot.fork_failures = 3;
  slot.ended(kSlotNow);
  slot.forked(kSlotLimits, kSlotNow + 1s);
  CHECK(slot.healthy_since == kSlotNow);
  CHECK_FALSE((slot.reported || slot.reached_waiting || slot.stale || slot.drained));
  CHECK_FALSE((slot.drain_sent_at || slot.killed_at));
  CHECK(slot.fork_failures == 0);
  CHECK(slot.beat_seen_at == kSlotNow + 1s);
}
