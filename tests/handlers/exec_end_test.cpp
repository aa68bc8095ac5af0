// exec: deadlines, stops, and that no process is left.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include "handlers/consumer_loop.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;
using Catch::Matchers::StartsWith;
using Kind = Outcome::Kind;

namespace {

/// One clean-up is bounded in time: on a busy machine it may take two.
bool no_stranger_left() {
  kill_orphans({});
  return !has_children();
}

}  // namespace

TEST_CASE("at the deadline the group gets TERM and the message is retried", "[exec_end]") {
  ConsumerLoop loop;
  loop.exec(settings(shell("echo working >&2; exec tail -f /dev/null 3>&1 >/dev/null"), Millis{500},
                     kLong));
  const TimePoint begin = Clock::now();
  const Outcome outcome = loop.handle(message());
  CHECK(Clock::now() - begin >= Millis{500});
  CHECK(outcome.kind == Kind::retry);
  CHECK(outcome.error == "timed out after 500ms; stderr: working");
}

TEST_CASE("a handler that exits 0 after its timeout has failed", "[exec_end]") {
  ConsumerLoop loop;
  loop.exec(settings(
      shell("trap 'exit 0' TERM; while :; do tail -f /dev/null 3>&1 >/dev/null & wait; done"),
      kSoon, kLong));
  const Outcome outcome = loop.handle(message());
  CHECK(outcome.kind == Kind::retry);
  CHECK_THAT(outcome.error, StartsWith("timed out after 150ms"));
}

TEST_CASE("a handler and its child that ignore TERM are killed after the grace", "[exec_end]") {
  const std::string pids = fresh_path("pids");
  ConsumerLoop loop;
  loop.exec(settings(
      shell("trap '' TERM; tail -f /dev/null 3>&1 >/dev/null & echo $! $$ >" + pids + "; wait"),
      Millis{500}, Millis{200}));
  const TimePoint begin = Clock::now();
  loop.start(message());
  std::istringstream line(wait_for_line(pids));
  pid_t child = 0;
  pid_t leader = 0;
  line >> child >> leader;
  CHECK(loop.handler->pids() == std::vector<pid_t>{leader});
  const Outcome outcome = loop.finish();
  CHECK(Clock::now() - begin >= Millis{700});
  CHECK_THAT(outcome.error, StartsWith("timed out after 500ms"));
  CHECK(gone(leader));
  CHECK(gone(child));
}

TEST_CASE("a grandchild that holds the pipes is killed without delay to the next message",
          "[exec_end]") {
  const std::string pid_file = fresh_path("pid");
  ConsumerLoop loop;
  loop.exec(settings(shell("(trap '' TERM; exec tail -f /dev/null 3>&1 >/dev/null) & echo $! >" +
                           pid_file + "; echo answer; exit 0"),
                     kLong));
  const TimePoint begin = Clock::now();
  const Outcome outcome = loop.handle(message());
  CHECK(outcome.kind == Kind::done);
  CHECK(outcome.result == "answer");
  CHECK(Clock::now() - begin < Millis{10000});
  CHECK(gone(std::stoi(wait_for_line(pid_file))));
}

TEST_CASE("a grandchild that never stops printing does not delay the next message", "[exec_end]") {
  ConsumerLoop loop;
  loop.exec(settings(shell("setsid yes & echo x; exit 0"), kLong));
  CHECK(loop.handle(message()).kind == Kind::done);
  CHECK(eventually(no_stranger_left));
}

TEST_CASE("a process that left the handler's session is re-parented and killed", "[exec_end]") {
  const std::string pid_file = fresh_path("pid");
  ConsumerLoop loop;
  loop.exec(settings(shell("setsid sh -c 'trap \"\" TERM; echo $$ >" + pid_file +
                           "; exec tail -f /dev/null 3>&1 >/dev/null' & "
                           "while [ ! -s " +
                           pid_file + " ]; do :; done"),
                     kLong));
  CHECK(loop.handle(message()).kind == Kind::done);
  const pid_t daemon = std::stoi(wait_for_line(pid_file));
  CHECK(is_alive(daemon));
  CHECK(eventually(no_stranger_left));
  CHECK_FALSE(is_alive(daemon));
}

TEST_CASE("a shutdown releases an unfinished message with its handler's exit as evidence",
          "[exec_end]") {
  ConsumerLoop loop;
  loop.exec(settings(shell("exec tail -f /dev/null 3>&1 >/dev/null"), kLong));
  loop.start(message());
  loop.handler->stop(StopReason::shutdown, kLong);
  const Outcome outcome = loop.finish();
  CHECK(outcome.kind == Kind::released);
  CHECK(outcome.evidence.cause == Cause::shutdown);
  CHECK(outcome.evidence.signal == SIGTERM);
}

TEST_CASE("a handler that ignores the shutdown's TERM is killed after its grace", "[exec_end]") {
  const std::string ready = fresh_path("ready");
  ConsumerLoop loop;
  loop.exec(settings(
      shell("trap '' TERM; echo >" + ready + "; exec tail -f /dev/null 3>&1 >/dev/null"), kLong));
  loop.start(message());
  wait_for_line(ready);
  const TimePoint begin = Clock::now();
  loop.handler->stop(StopReason::shutdown, kSoon);
  CHECK(loop.finish().kind == Kind::released);
  CHECK(Clock::now() - begin >= kSoon);
}

TEST_CASE("after the shutdown's signal no exit code counts as done", "[exec_end]") {
  for (const int code : {0, 1, 65, 100, 143}) {
    const std::string ready = fresh_path("ready");
    ConsumerLoop loop;
    loop.exec(settings(shell("trap 'exit " + std::to_string(code) + "' TERM; echo >" + ready +
                             "; while :; do tail -f /dev/null 3>&1 >/dev/null & wait; done"),
                       kLong));
    loop.start(message());
    wait_for_line(ready);
    loop.handler->stop(StopReason::shutdown, kLong);
    INFO("exit code " << code);
    const Outcome outcome = loop.finish();
    CHECK(outcome.kind == Kind::released);
    CHECK(outcome.evidence.cause == Cause::shutdown);
    CHECK(outcome.evidence.exit_code == code);
  }
}

TEST_CASE("an exit before the shutdown's signal counts", "[exec_end]") {
  ConsumerLoop loop;
  loop.exec(settings(shell("exit 0"), kLong));
  loop.start(message());
  const pid_t pid = loop.handler->pids().at(0);
  REQUIRE(eventually([&] { return has_ended(pid); }));
  loop.handler->stop(StopReason::shutdown, kLong);
  CHECK(loop.finish().kind == Kind::done);
}

TEST_CASE("TERM, INT and HUP from outside count an attempt, other signals a crash", "[exec_end]") {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGKILL, SIGABRT, SIGXFSZ}) {
    ConsumerLoop loop;
    loop.exec(settings(shell("ulimit -c 0; kill -" + std::to_string(signal) + " $$"), kLong));
    INFO("signal " << signal);
    const Outcome outcome = loop.handle(message());
    const bool asks = signal == SIGTERM || signal == SIGINT || signal == SIGHUP;
    CHECK(outcome.kind == (asks ? Kind::retry : Kind::crash));
    CHECK(outcome.evidence.cause == Cause::signal);
    CHECK(outcome.evidence.signal == signal);
  }
}

TEST_CASE("a handler gets the configured stop signal", "[exec_end]") {
  const std::string ready = fresh_path("ready");
  const std::string heard = fresh_path("heard");
  ConsumerLoop loop;
  auto with_signal = settings(shell("trap 'echo HUP >" + heard + "; exit 0' HUP; echo >" + ready +
                                    "; while :; do tail -f /dev/null 3>&1 >/dev/null & wait; done"),
                              kLong);
  with_signal.stop_signal = SIGHUP;
  loop.exec(std::move(with_signal));
  loop.start(message());
  wait_for_line(ready);
  loop.handler->stop(StopReason::shutdown, kLong);
  CHECK(loop.finish().kind == Kind::released);
  CHECK(read_file(heard) == "HUP\n");
}

TEST_CASE("a lost lease ends the handler and its outcome is ignored", "[exec_end]") {
  const std::string ready = fresh_path("ready");
  ConsumerLoop loop;
  loop.exec(settings(shell("trap 'exit 0' TERM; echo >" + ready +
                           "; while :; do tail -f /dev/null 3>&1 >/dev/null & wait; done"),
                     kLong));
  loop.start(message());
  wait_for_line(ready);
  loop.handler->stop(StopReason::lease_lost, kLong);
  CHECK(loop.finish().kind == Kind::released);
}

TEST_CASE("a second stop can only shorten the grace", "[exec_end]") {
  const std::string ready = fresh_path("ready");
  ConsumerLoop loop;
  loop.exec(settings(
      shell("trap '' TERM; echo >" + ready + "; exec tail -f /dev/null 3>&1 >/dev/null"), kLong));
  loop.start(message());
  wait_for_line(ready);
  const TimePoint begin = Clock::now();
  loop.handler->stop(StopReason::shutdown, kSoon);
  loop.handler->stop(StopReason::shutdown, kLong);
  CHECK(loop.finish().kind == Kind::released);
  CHECK(Clock::now() - begin < Millis{15000});
}

TEST_CASE("a stop without a running message does nothing", "[exec_end]") {
  ConsumerLoop loop;
  loop.exec(settings(shell("exit 0")));
  loop.handler->stop(StopReason::shutdown, kSoon);
  CHECK(loop.handle(message()).kind == Kind::done);
  loop.handler->stop(StopReason::lease_lost, kSoon);
  loop.handler->close();
}

TEST_CASE("destroying the handler kills its process without a callback", "[exec_end]") {
  ConsumerLoop loop;
  loop.exec(settings(shell("trap '' TERM; exec tail -f /dev/null 3>&1 >/dev/null"), kLong));
  loop.start(message());
  const pid_t pid = loop.handler->pids().at(0);
  loop.handler.reset();
  loop.until([&] { return !is_alive(pid); });
  loop.io.poll();
  CHECK_FALSE(loop.finished());
}

TEST_CASE("the handler dies when its consumer is killed", "[exec_end]") {
  const std::string pid_file = fresh_path("pid");
  const ConsumerLoop reaper;  // the handler comes to us when its parent is gone
  const pid_t consumer = ::fork();
  REQUIRE(consumer >= 0);
  if (consumer == 0) {
    ConsumerLoop loop;
    loop.exec(settings(shell("trap '' TERM HUP; echo $$ >" + pid_file +
                             "; exec tail -f /dev/null 3>&1 >/dev/null"),
                       kLong));
    loop.start(message());
    for (;;) loop.io.run_one();
  }
  const pid_t handler = std::stoi(wait_for_line(pid_file));
  CHECK(is_alive(handler));
  ::kill(consumer, SIGKILL);
  CHECK(gone(handler));
}
