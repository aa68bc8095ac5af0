#include "fleet/refused_claims.h"

#include <memory>

#include "support/catch.h"

using namespace pgforeman;

TEST_CASE("Refused claims are taken out once, and one too many is forgotten", "[refused_claims]") {
  const auto board = std::make_unique<RefusedClaims>();
  CHECK(board->take().empty());
  board->add(7, true);
  board->add(9, false);
  const auto taken = board->take();
  REQUIRE(taken.size() == 2);
  CHECK((taken[0].id == 7 && taken[0].blamed));
  CHECK((taken[1].id == 9 && !taken[1].blamed));
  CHECK(board->take().empty());
  for (std::int64_t id = 1; id <= 100; ++id) board->add(id, true);
  CHECK(board->take().size() == 64);
  board->add(101, true);
  CHECK(board->take().at(0).id == 101);
}
