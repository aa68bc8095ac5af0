// noop: no handler at all.

#include <optional>

#include "handlers/consumer_loop.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;
using Kind = Outcome::Kind;

TEST_CASE("noop is done with any message before run() returns", "[noop]") {
  const auto handler = make_noop_handler();
  for (const char* payload : {"{}", "null", R"({"n": 1})"}) {
    handler->open();
    const Message given = message(7, payload);
    std::optional<Outcome> outcome;
    handler->run(given, [&](Outcome made) { outcome = std::move(made); });
    REQUIRE(outcome);
    CHECK(outcome->kind == Kind::done);
    CHECK(outcome->result.empty());
    CHECK(outcome->error.empty());
    handler->stop(StopReason::shutdown, Millis{0});  // changes nothing
  }
  CHECK(handler->failed_starts() == 0);
  handler->close();
}
