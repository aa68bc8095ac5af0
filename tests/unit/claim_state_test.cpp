#include "consumer/claim_state.h"

#include "support/catch.h"

using namespace pgforeman;
using Next = ClaimState::Next;

namespace {

/// A state in which the next claim is made as `next` says.
ClaimState state_with(Next next) {
  ClaimState state;
  if (next == Next::after_settle) state.failed(false);
  if (next == Next::careful) state.failed(true);
  return state;
}

}  // namespace

TEST_CASE("The next claim follows from how the last one ended", "[claim_state]") {
  CHECK(ClaimState{}.next() == Next::normal);
  for (const Next before : {Next::normal, Next::after_settle, Next::careful}) {
    ClaimState state = state_with(before);
    REQUIRE(state.next() == before);
    // A settle does not show that the claim works again.
    state.settled();
    CHECK(state.next() == (before == Next::careful ? Next::careful : Next::normal));

    state = state_with(before);
    state.answered(10, 0);
    CHECK(state.next() == Next::normal);

    state = state_with(before);
    state.failed(false);
    CHECK(state.next() == Next::after_settle);

    state = state_with(before);
    state.failed(true);
    CHECK(state.next() == Next::careful);
  }
}

TEST_CASE("A claim that got fewer messages than it asked for is reported once", "[claim_state]") {
  ClaimState state;
  CHECK_FALSE(state.found_all());
  CHECK_FALSE(state.take_emptied());

  state.answered(10, 10);
  CHECK(state.found_all());
  CHECK_FALSE(state.take_emptied());
  CHECK(state.found_all());

  state.answered(10, 3);
  CHECK_FALSE(state.found_all());
  CHECK(state.take_emptied());
  CHECK_FALSE(state.take_emptied());

  state.answered(10, 0);
  CHECK_FALSE(state.found_all());
  CHECK_FALSE(state.take_emptied());
}
