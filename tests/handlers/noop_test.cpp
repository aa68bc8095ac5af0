// noop: no handler at all.

#include "handlers/consumer_loop.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;
using Kind = Outcome::Kind;

TEST_CASE("noop says done to whatever it is given, without a process", "[noop]") {
  ConsumerLoop loop;
  loop.noop();
  for (const char* payload : {"{}", "null", R"({"n": 1})"}) {
    const Outcome outcome = loop.handle(message(7, payload));
    CHECK(outcome.kind == Kind::done);
    CHECK(outcome.result.empty());
    CHECK(outcome.error.empty());
  }
  CHECK(loop.handler->pids().empty());
  CHECK(loop.handler->failed_starts() == 0);
}

TEST_CASE("noop is done before run() returns, whatever is asked of it then", "[noop]") {
  ConsumerLoop loop;
  loop.noop();
  loop.start(message());
  CHECK(loop.finished());
  loop.handler->stop(StopReason::shutdown, Millis{0});
  CHECK(loop.finish().kind == Kind::done);
}
