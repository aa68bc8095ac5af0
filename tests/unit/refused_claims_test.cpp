#include "fleet/refused_claims.h"

#include <memory>

#include "support/catch.h"

using namespace pgforeman;

TEST_CASE("Refused claims are taken out once, and one too many is forgotten", "[refused_claims]") {
  const auto board = std::make_unique<RefusedClaims>();
  CHECK(board->take().empty());
  board->add(7);
  board->add(9);
  CHECK(board->take() == std::vector<std::int64_t>{7, 9});
  CHECK(board->take().empty());
  for (std::int64_t id = 1; id <= 100; ++id) board->add(id);
  CHECK(board->take().size() == 64);
  board->add(101);
  CHECK(board->take() == std::vector<std::int64_t>{101});
}
