// jsonl with a window: messages are in the process's pipe before they run.

#include <algorithm>
#include <string>
#include <vector>

#include "handlers/consumer_loop.h"
#include "handlers/jsonl_scripts.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;
using Kind = Outcome::Kind;

namespace {

HandlerSettings with_window(std::vector<std::string> argv, std::size_t window = 8) {
  HandlerSettings s = settings(std::move(argv));
  s.window = window;
  return s;
}

/// Messages 1 to `count`, run as a consumer runs them.
struct Batch {
  Batch(ConsumerLoop& its_loop, int count) : loop(its_loop) {
    for (int id = 1; id <= count; ++id) messages.push_back(message(id));
  }
  void start(std::size_t index) {
    loop.start(messages[index]);
    std::vector<const Message*> next;
    for (std::size_t i = index + 1 + ahead();
         i < messages.size() && next.size() < loop.handler->room(); ++i) {
      next.push_back(&messages[i]);
    }
    most_room = std::max(most_room, loop.handler->room());
    if (!next.empty()) loop.handler->hand_over(next);
    most_ahead = std::max(most_ahead, ahead());
  }
  std::size_t ahead() const {
    return static_cast<std::size_t>(
        std::count_if(messages.begin(), messages.end(),
                      [&](const Message& each) { return loop.handler->has(each.lease); }));
  }
  Outcome handle(std::size_t index) {
    start(index);
    return loop.finish();
  }

  ConsumerLoop& loop;
  std::vector<Message> messages;
  std::size_t most_room = 0, most_ahead = 0;
};

/// Says, as its result, what it is and how much it had read when it began.
const char* const kPython = R"(
import json, os, sys
for line in sys.stdin:
    m = json.loads(line)
    n = m["id"]
    if n == %d: %s
    print(json.dumps({"id": n, "status": "done", "result": os.getpid()}), flush=True)
)";

std::vector<std::string> python(int id, const std::string& what) {
  std::string script = kPython;
  script.replace(script.find("%d"), 2, std::to_string(id));
  script.replace(script.find("%s"), 2, what);
  return {"/usr/bin/python3", "-c", script};
}

}  // namespace

TEST_CASE("what is handed over is answered in its turn, by one process", "[jsonl_window]") {
  ConsumerLoop loop;
  loop.jsonl(with_window(python(0, "pass")));
  Batch batch(loop, 100);
  std::string pid;
  for (std::size_t i = 0; i < 100; ++i) {
    const Outcome outcome = batch.handle(i);
    REQUIRE(outcome.kind == Kind::done);
    if (i == 0) pid = outcome.result;
    REQUIRE(outcome.result == pid);
  }
  CHECK(batch.most_ahead == 7);
  CHECK(batch.ahead() == 0);
}

TEST_CASE("what was answered before its turn is done when its turn comes", "[jsonl_window]") {
  const std::string marker = fresh_path("marker");
  ConsumerLoop loop;
  loop.jsonl(with_window(python(8, "open('" + marker + "', 'w').write('seven are answered\\n')")));
  Batch batch(loop, 8);
  CHECK(batch.handle(0).kind == Kind::done);
  wait_for_line(marker);
  loop.io.poll();
  for (std::size_t i = 1; i < 7; ++i) {
    batch.start(i);
    REQUIRE(loop.finished());
    CHECK(loop.finish().kind == Kind::done);
  }
  CHECK(batch.handle(7).kind == Kind::done);
}

TEST_CASE("a window of one hands nothing over", "[jsonl_window]") {
  ConsumerLoop loop;
  loop.jsonl(with_window(python(0, "pass"), 1));
  Batch batch(loop, 5);
  for (std::size_t i = 0; i < 5; ++i) REQUIRE(batch.handle(i).kind == Kind::done);
  CHECK(batch.most_room == 0);
}

TEST_CASE("a process that dies takes the blame to the message it ran, not to those behind",
          "[jsonl_window]") {
  ConsumerLoop loop;
  loop.jsonl(with_window(python(5, "os.kill(os.getpid(), 11)")));
  Batch batch(loop, 12);
  std::vector<Kind> kinds;
  for (std::size_t i = 0; i < 12; ++i) kinds.push_back(batch.handle(i).kind);
  std::vector<Kind> expected(12, Kind::done);
  expected[4] = Kind::crash;
  CHECK(kinds == expected);
}

TEST_CASE("a violation before its turn fails nobody else's message", "[jsonl_window]") {
  ConsumerLoop loop;
  loop.jsonl(with_window(python(5, "print('no JSON', flush=True)")));
  Batch batch(loop, 12);
  for (std::size_t i = 0; i < 12; ++i) {
    const Outcome outcome = batch.handle(i);
    INFO(i);
    REQUIRE(outcome.kind == (i == 4 ? Kind::retry : Kind::done));
    if (i == 4) CHECK(outcome.evidence.cause == Cause::contract);
  }
}

TEST_CASE("a process that closes its stdout early is found out in time", "[jsonl_window]") {
  ConsumerLoop loop;
  loop.jsonl(with_window(python(5, "os.close(1); import signal; signal.pause()")));
  Batch batch(loop, 8);
  for (std::size_t i = 0; i < 8; ++i) {
    const Outcome outcome = batch.handle(i);
    INFO(i);
    REQUIRE(outcome.kind == (i == 4 ? Kind::retry : Kind::done));
  }
}

TEST_CASE("a process that ends after each answer costs no message an attempt", "[jsonl_window]") {
  ConsumerLoop loop;
  loop.jsonl(with_window({"/bin/sh", "-c",
                          "read -r line; id=${line#*:}; id=${id%%,*}; echo "
                          "\"{\\\"id\\\":$id,\\\"status\\\":\\\"done\\\"}\""}));
  Batch batch(loop, 6);
  for (std::size_t i = 0; i < 6; ++i) {
    INFO(i);
    const Outcome outcome = batch.handle(i);
    INFO(outcome.error);
    REQUIRE(outcome.kind == Kind::done);
  }
}

TEST_CASE("messages that somebody else got are left out", "[jsonl_window]") {
  ConsumerLoop loop;
  const bool answered = GENERATE(false, true);
  const std::string marker = fresh_path("marker");
  loop.jsonl(with_window(answered ? python(8, "open('" + marker + "', 'w').write('all read\\n')")
                                  : python(3, "import signal; signal.pause()")));
  Batch batch(loop, 8);
  REQUIRE(batch.handle(0).kind == Kind::done);
  REQUIRE(batch.ahead() == 7);
  if (answered) {
    wait_for_line(marker);
    loop.io.poll();  // reads what was answered by then
  }
  // 2 and 3 are somebody else's by now.
  for (std::size_t i = 3; i < 8; ++i) {
    INFO(i);
    REQUIRE(batch.handle(i).kind == Kind::done);
  }
}

TEST_CASE("a message that comes again under another lease is run again", "[jsonl_window]") {
  ConsumerLoop loop;
  const std::string runs = fresh_path("runs");
  loop.jsonl(with_window(python(2, "open('" + runs + "', 'a').write(str(m['fence']) + '\\n')")));
  Batch batch(loop, 3);
  REQUIRE(batch.handle(0).kind == Kind::done);
  wait_for_line(runs);
  loop.io.poll();
  // Lost, and claimed anew.
  Message again = batch.messages[1];
  again.lease.token += 1;
  again.fence = 77;
  CHECK_FALSE(loop.handler->has(again.lease));
  REQUIRE(loop.handle(again).kind == Kind::done);
  CHECK_THAT(read_file(runs), contains("77\n"));
}

TEST_CASE("what was handed over is taken back with its process, but for what it answered",
          "[jsonl_window]") {
  ConsumerLoop loop;
  loop.jsonl(with_window(python(4, "import signal; signal.pause()")));
  Batch batch(loop, 6);
  REQUIRE(batch.handle(0).kind == Kind::done);
  const pid_t first = loop.handler->pids().at(0);
  loop.handler->take_back();
  CHECK_FALSE(loop.handler->has(batch.messages[3].lease));
  loop.until([&] { return loop.handler->pids().empty(); });
  REQUIRE(batch.handle(4).kind == Kind::done);
  CHECK(loop.handler->pids().at(0) != first);
}

TEST_CASE("time that is up ends the message that runs, and the others run elsewhere",
          "[jsonl_window]") {
  ConsumerLoop loop;
  HandlerSettings s = with_window(python(3, "import signal; signal.pause()"));
  s.timeout = Millis{2000};
  loop.jsonl(s);
  Batch batch(loop, 8);
  for (std::size_t i = 0; i < 8; ++i) {
    const Outcome outcome = batch.handle(i);
    INFO(i);
    INFO(outcome.error);
    REQUIRE(outcome.kind == (i == 2 ? Kind::retry : Kind::done));
    if (i == 2) CHECK(outcome.evidence.cause == Cause::timeout);
  }
}

TEST_CASE("long messages do not wait for each other's pipes", "[jsonl_window]") {
  ConsumerLoop loop;
  loop.jsonl(with_window(python(0, "pass")));
  Batch batch(loop, 12);
  for (auto& each : batch.messages) {
    each.payload = R"({"x": ")" + std::string(200'000, 'x') + "\"}";
  }
  for (std::size_t i = 0; i < 12; ++i) REQUIRE(batch.handle(i).kind == Kind::done);
}
