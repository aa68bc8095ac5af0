// jsonl: one process for many messages.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "handlers/consumer_loop.h"
#include "handlers/jsonl_scripts.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;
using Kind = Outcome::Kind;

namespace {

pid_t handler_pid(const ConsumerLoop& loop) {
  REQUIRE(loop.handler->pids().size() == 1);
  return loop.handler->pids()[0];
}

}  // namespace

TEST_CASE("one process answers message after message", "[jsonl]") {
  ConsumerLoop loop;
  loop.jsonl(settings(answering(R"(echo "{\"id\":$id,\"status\":\"done\",\"result\":$$}")")));
  const std::string pid = loop.handle(message(1)).result;
  for (int id = 2; id <= 200; ++id) {
    const Outcome outcome = loop.handle(message(id));
    REQUIRE(outcome.kind == Kind::done);
    REQUIRE(outcome.result == pid);
  }
  CHECK(std::to_string(handler_pid(loop)) == pid);
  CHECK(loop.handler->failed_starts() == 0);
}

TEST_CASE("the handler's retry and dead come with its delay and error", "[jsonl]") {
  ConsumerLoop loop;
  loop.jsonl(settings(answering(
      R"(case $id in
           1) echo "{\"id\":1,\"status\":\"retry\",\"after\":\"5s\",\"error\":\"busy\"}";;
           2) echo "{\"id\":2,\"status\":\"dead\",\"error\":\"no such user\"}";;
         esac)")));
  const Outcome retry = loop.handle(message(1));
  CHECK(retry.kind == Kind::retry);
  CHECK(retry.after == Millis{5000});
  CHECK(retry.error == "busy");
  const Outcome dead = loop.handle(message(2));
  CHECK(dead.kind == Kind::dead);
  CHECK(dead.error == "no such user");
}

TEST_CASE("the handler reads the whole line, however long", "[jsonl]") {
  ConsumerLoop loop;
  loop.jsonl(settings({"/usr/bin/python3", "-c", R"(
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    size = len(m["payload"]["x"])
    print(json.dumps({"id": m["id"], "status": "done", "result": size}), flush=True)
)"}));
  for (const std::size_t size : {10UL, 65536UL, 3UL << 20U, 1UL}) {
    const Outcome outcome = loop.handle(message(7, R"({"x": ")" + std::string(size, 'x') + "\"}"));
    CHECK(outcome.kind == Kind::done);
    CHECK(outcome.result == std::to_string(size));
  }
}

TEST_CASE("the environment is the given one alone", "[jsonl]") {
  ConsumerLoop loop;
  HandlerSettings s = settings(answering(
      R"(echo "{\"id\":$id,\"status\":\"done\",\"result\":\"$(env | sort | tr '\n' ' ')\"}")"));
  s.environment.push_back("FOO=bar");
  loop.jsonl(s);
  const std::string result = loop.handle(message()).result;
  CHECK_THAT(result, contains("FOO=bar"));
  CHECK_THAT(result, !contains("PGFOREMAN"));
}

TEST_CASE("open() starts the process once, and again after it ended", "[jsonl]") {
  ConsumerLoop loop;
  loop.jsonl(settings(answering(kDone)));
  loop.handler->open();
  const pid_t first = handler_pid(loop);
  loop.handler->open();
  CHECK(handler_pid(loop) == first);
  ::kill(first, SIGKILL);
  loop.until([&] { return loop.handler->pids().empty(); });
  loop.handler->open();
  CHECK(handler_pid(loop) != first);
  CHECK(loop.handle(message()).kind == Kind::done);
}

TEST_CASE("a process that ended a moment ago is not given a message", "[jsonl]") {
  ConsumerLoop loop;
  loop.jsonl(settings(answering(kDone)));
  CHECK(loop.handle(message(1)).kind == Kind::done);
  ::kill(handler_pid(loop), SIGKILL);
  siginfo_t info{};
  // Dead, but its exit is not known to the handler yet.
  ::waitid(P_PID, static_cast<id_t>(handler_pid(loop)), &info, WEXITED | WNOWAIT);
  CHECK(loop.handle(message(2)).kind == Kind::done);
  loop.until([&] { return loop.handler->pids().size() == 1; });
}

TEST_CASE("an answer right before the process's end counts", "[jsonl]") {
  ConsumerLoop loop;
  loop.jsonl(settings(answering(std::string(kDone) + "; exit 1")));
  loop.start(message());
  std::optional<ChildExit> exit;
  REQUIRE(eventually([&] { return (exit = reap_one()).has_value(); }));
  CHECK(loop.handler->on_exit(*exit));
  CHECK(loop.finish().kind == Kind::done);
  CHECK(loop.handler->failed_starts() == 0);
}

TEST_CASE("a handler may answer one message and exit", "[jsonl]") {
  ConsumerLoop loop;
  loop.jsonl(settings(answering(std::string(kDone) + "; exit 0")));
  for (int id = 1; id <= 20; ++id) CHECK(loop.handle(message(id)).kind == Kind::done);
  CHECK(loop.handler->failed_starts() == 0);
}

TEST_CASE("two hundred restarts leak no descriptor and no process", "[jsonl]") {
  ConsumerLoop loop;
  loop.jsonl(settings(answering(std::string(kDone) + "; exit 0")));
  loop.handle(message());
  loop.until([&] { return loop.handler->pids().empty(); });
  const std::size_t before = open_descriptors();
  for (int id = 1; id <= 200; ++id) REQUIRE(loop.handle(message(id)).kind == Kind::done);
  loop.until([&] { return loop.handler->pids().empty(); });
  CHECK(open_descriptors() == before);
  CHECK_FALSE(has_children());
}

TEST_CASE("at the deadline the process is ended and the next message gets a new one", "[jsonl]") {
  const std::string pids = fresh_path("pids");
  ConsumerLoop loop;
  loop.jsonl(settings(
      answering("case $id in 1) echo stuck >&2; trap '' TERM; tail -f /dev/null 3>&1 >/dev/null & "
                "echo $! >" +
                pids + "; wait;; esac; " + kDone),
      Millis{500}, kSoon));
  loop.start(message(1));
  const pid_t grandchild = std::stoi(wait_for_line(pids));
  const pid_t leader = handler_pid(loop);
  const Outcome outcome = loop.finish();
  CHECK(outcome.kind == Kind::retry);
  CHECK(outcome.error ==
        "timed out after 500ms without a first answer: does it speak jsonl, and does it flush its "
        "output after each answer?; stderr: stuck");
  CHECK(gone(leader));
  CHECK(gone(grandchild));
  CHECK(loop.handle(message(2)).kind == Kind::done);
  // A slow message is no failed start.
  CHECK(loop.handler->failed_starts() == 0);
}

TEST_CASE("an answer after the deadline is ignored", "[jsonl]") {
  ConsumerLoop loop;
  loop.jsonl(
      settings({"/bin/sh", "-c",
                "read line; trap 'echo \"{\\\"id\\\":7,\\\"status\\\":\\\"done\\\"}\"; exit' TERM; "
                "while :; do tail -f /dev/null 3>&1 >/dev/null & wait; done"},
               kSoon, kLong));
  const Outcome outcome = loop.handle(message(7));
  CHECK(outcome.kind == Kind::retry);
  CHECK_THAT(outcome.error, contains("timed out"));
}

TEST_CASE("a shutdown releases a message that is not answered in its grace", "[jsonl]") {
  ConsumerLoop loop;
  loop.jsonl(settings(answering("trap '' TERM; exec tail -f /dev/null 3>&1 >/dev/null"), kLong));
  loop.start(message());
  loop.handler->stop(StopReason::shutdown, kSoon);
  CHECK(loop.finish().kind == Kind::released);
}

TEST_CASE("a shutdown believes an answer that comes in its grace", "[jsonl]") {
  const std::string ready = fresh_path("ready");
  ConsumerLoop loop;
  loop.jsonl(
      settings(answering("trap " + ("'" + quoted_for_trap(kDone) + "'") + " TERM; echo >" + ready +
                         "; while :; do tail -f /dev/null 3>&1 >/dev/null & wait; done"),
               kLong));
  loop.start(message());
  wait_for_line(ready);
  loop.handler->stop(StopReason::shutdown, Millis{1000});
  CHECK(loop.finish().kind == Kind::done);
  // It stays until it ends or the grace does.
  loop.until([&] { return loop.handler->pids().empty(); });
}

TEST_CASE("after a lost lease an answer no longer counts", "[jsonl]") {
  const std::string ready = fresh_path("ready");
  ConsumerLoop loop;
  loop.jsonl(
      settings(answering("trap " + ("'" + quoted_for_trap(kDone) + "; exit'") + " TERM; echo >" +
                         ready + "; while :; do tail -f /dev/null 3>&1 >/dev/null & wait; done"),
               kLong));
  loop.start(message());
  wait_for_line(ready);
  loop.handler->stop(StopReason::lease_lost, kLong);
  CHECK(loop.finish().kind == Kind::released);
}

TEST_CASE("close() ends a process that ends with its input, without a signal", "[jsonl]") {
  const std::string last_words = fresh_path("end");
  ConsumerLoop loop;
  loop.jsonl(settings(shell("while read -r line; do :; done; echo bye >" + last_words), kLong));
  loop.handler->open();
  loop.handler->close();
  CHECK(wait_for_line(last_words) == "bye");
  loop.until([&] { return loop.handler->pids().empty(); });
}

TEST_CASE("close() kills a process that does not end with its input", "[jsonl]") {
  ConsumerLoop loop;
  loop.jsonl(settings(shell("trap '' TERM; exec tail -f /dev/null 3>&1 >/dev/null"), kLong, kSoon));
  loop.handler->open();
  loop.handler->close();
  loop.until([&] { return loop.handler->pids().empty(); });
}

TEST_CASE("destroying the jsonl handler kills its process without a callback", "[jsonl]") {
  ConsumerLoop loop;
  loop.jsonl(settings(answering("exec tail -f /dev/null 3>&1 >/dev/null"), kLong));
  loop.start(message());
  const pid_t pid = handler_pid(loop);
  loop.handler.reset();
  loop.until([&] { return !is_alive(pid); });
  CHECK_FALSE(loop.finished());
}

TEST_CASE("the jsonl process and what it started die when its consumer is killed", "[jsonl]") {
  const std::string pid_file = fresh_path("pid");
  const ConsumerLoop reaper;
  const pid_t consumer = ::fork();
  REQUIRE(consumer >= 0);
  if (consumer == 0) {
    ConsumerLoop loop;
    loop.jsonl(settings(shell("echo $$ >" + pid_file + "; exec tail -f /dev/null 3>&1 >/dev/null"),
                        kLong));
    loop.handler->open();
    for (;;) loop.io.run_one_for(Millis{1000});
  }
  const pid_t handler = std::stoi(wait_for_line(pid_file));
  CHECK(is_alive(handler));
  ::kill(consumer, SIGKILL);
  CHECK(gone(handler));
}
