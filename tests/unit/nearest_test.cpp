#include "text/nearest.h"

#include <vector>

#include "support/catch.h"

using namespace pgforeman;

TEST_CASE("The distance counts slips of the finger, whatever the case", "[nearest]") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("queue", "QUEUE") == 0);
  CHECK(edit_distance("health-port", "HEALTH_PORT") == 0);
  CHECK(edit_distance("QUEU", "QUEUE") == 1);
  CHECK(edit_distance("QEUUE", "QUEUE") == 1);
  CHECK(edit_distance("QUEXE", "QUEUE") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("The nearest name is offered only when it may be meant", "[nearest]") {
  const std::vector<std::string> names = {"QUEUE", "BATCH", "CONCURRENCY", "HANDLER",
                                          "HANDLER_MODE"};
  CHECK(nearest("CONCURENCY", names) == "CONCURRENCY");
  CHECK(nearest("batch", names) == "BATCH");
  CHECK(nearest("HANDLR", names) == "HANDLER");
  CHECK(nearest("HANDLER_MOD", names) == "HANDLER_MODE");
  CHECK(nearest("ELEPHANT", names).empty());
  CHECK(nearest("", names).empty());
  CHECK(nearest("XY", names).empty());
  CHECK(nearest(std::string(100'000, 'Q'), names).empty());
  CHECK(nearest("QUEUE", {}).empty());
  CHECK(did_you_mean("QUEU", names) == "; did you mean QUEUE?");
  CHECK(did_you_mean("ELEPHANT", names).empty());
}
