// exec: what a handler gets, and what becomes of what it says.

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "handlers/consumer_loop.h"
#include "handlers/limits.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;
using Catch::Matchers::StartsWith;
using Kind = Outcome::Kind;

namespace {

Outcome run_shell(const std::string& script, const Message& m = message()) {
  ConsumerLoop loop;
  loop.exec(settings(shell(script)));
  return loop.handle(m);
}

}  // namespace

TEST_CASE("exit 0 is done and stdout is the result", "[exec]") {
  const Outcome outcome = run_shell("echo forty-two");
  CHECK(outcome.kind == Kind::done);
  CHECK(outcome.result == "forty-two");
  CHECK(outcome.error.empty());
}

TEST_CASE("exit 65 and 100 are dead, every other code is a retry", "[exec]") {
  CHECK(run_shell("exit 65").kind == Kind::dead);
  CHECK(run_shell("echo bad address >&2; exit 100").kind == Kind::dead);
  CHECK(run_shell("echo bad address >&2; exit 100").error ==
        "exited with code 100; stderr: bad address");
  for (const int code : {1, 2, 64, 66, 99, 101, 126, 127, 255}) {
    const Outcome outcome = run_shell("exit " + std::to_string(code));
    CHECK(outcome.kind == Kind::retry);
    CHECK(outcome.evidence.cause == Cause::exit_code);
    CHECK(outcome.evidence.exit_code == code);
    CHECK(outcome.error == "exited with code " + std::to_string(code));
    CHECK_FALSE(outcome.after);
  }
}

TEST_CASE("death by a signal is a crash that names it", "[exec]") {
  const Outcome outcome = run_shell("echo about to crash >&2; kill -SEGV $$");
  CHECK(outcome.kind == Kind::crash);
  CHECK(outcome.evidence.cause == Cause::signal);
  CHECK(outcome.evidence.signal == SIGSEGV);
  CHECK(outcome.evidence.exit_code == -1);
  CHECK(outcome.evidence.peak_rss_kib > 0);
  CHECK(outcome.evidence.stderr_tail == "about to crash");
  CHECK_THAT(outcome.error, StartsWith("killed by SIGSEGV") && contains("about to crash"));
  CHECK_THAT(run_shell("kill -KILL $$").error, StartsWith("killed by SIGKILL"));
}

TEST_CASE("the payload arrives on stdin as a line, whatever its size, and then the end", "[exec]") {
  for (const std::size_t size : {0UL, 1UL, 65536UL, 65537UL, 3UL << 20U}) {
    const Outcome outcome = run_shell("wc -c", message(7, std::string(size, 'x')));
    CHECK(outcome.kind == Kind::done);
    CHECK(std::stoul(outcome.result) == size + 1);
    // Line ends between tokens, which a reader of one line must not stumble over.
    const auto lines =
        run_shell("read -r line; echo \"$line\"; cat", message(7, "{\"a\":\r\n[1,\n2]}"));
    CHECK(lines.result == "{\"a\":  [1, 2]}");
  }
  CHECK(run_shell("read -r line && echo \"<$line>\"", message(7, "{}")).result == "<{}>");
}

TEST_CASE("a handler that prints all it reads does not deadlock", "[exec]") {
  const std::string payload(3U << 20U, 'p');
  const Outcome outcome = run_shell("tee /dev/stderr", message(7, payload));
  CHECK(outcome.kind == Kind::done);
  CHECK(outcome.result == std::string(kResultBytes, 'p'));
}

TEST_CASE("a handler that never reads its megabytes is done all the same", "[exec]") {
  const Message big = message(7, std::string(2U << 20U, 'x'));
  CHECK(run_shell("exit 0", big).kind == Kind::done);
  CHECK(run_shell("exec <&-; echo closed", big).result == "closed");
  CHECK(run_shell("head -c 10 >/dev/null", big).kind == Kind::done);
}

TEST_CASE("the error ends with the last lines of stderr, from a line's start", "[exec]") {
  const Outcome outcome =
      run_shell("i=0; while [ $i -lt 5000 ]; do echo line $i >&2; i=$((i+1)); done; exit 3");
  CHECK(outcome.kind == Kind::retry);
  CHECK_THAT(outcome.error, StartsWith("exited with code 3; stderr: line "));
  CHECK_THAT(outcome.error, contains("line 4998\nline 4999"));
  CHECK(outcome.error.size() <= kStderrTailBytes + 40);
  CHECK(outcome.error.size() > kStderrTailBytes / 2);
}

TEST_CASE("captured output is valid text for PostgreSQL", "[exec]") {
  const std::string bad = "\xEF\xBF\xBD";
  CHECK(run_shell("printf 'a\\000b\\377c'").result == "a" + bad + "b" + bad + "c");
  CHECK(run_shell("printf 'x\\300y\\000' >&2; exit 1").error ==
        "exited with code 1; stderr: x" + bad + "y" + bad);
}

TEST_CASE("metadata is in the environment, and nothing else is", "[exec]") {
  ConsumerLoop loop;
  HandlerSettings s = settings({"/usr/bin/env"}, Millis{2500});
  // The second is what this daemon itself may have been started with.
  s.environment = {"FOO=bar", "PGFOREMAN_MESSAGE_ID=666", "PGFOREMAN_MESSAGE_ID_X=1"};
  loop.exec(s);
  const Outcome outcome = loop.handle(message(41));
  std::vector<std::string> lines;
  std::istringstream text(outcome.result);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  CHECK(lines == std::vector<std::string>{
                     "FOO=bar", "PGFOREMAN_ATTEMPT=2", "PGFOREMAN_DEADLINE_SECONDS=2.5",
                     "PGFOREMAN_ENQUEUED_AT=2024-05-06T07:08:09.123456Z", "PGFOREMAN_FENCE=5",
                     R"(PGFOREMAN_HEADERS={"trace": "abc"})",
                     "PGFOREMAN_IDEMPOTENCY_KEY=41-1714979289123456", "PGFOREMAN_MESSAGE_ID=41",
                     "PGFOREMAN_MESSAGE_ID_X=1", "PGFOREMAN_QUEUE=emails"});
}

TEST_CASE("headers too large for a variable are left out instead of failing", "[exec]") {
  Message m = message();
  m.headers = R"({"big":")" + std::string(300000, 'h') + "\"}";
  CHECK(run_shell("echo \"${PGFOREMAN_HEADERS-unset}\"", m).result == "unset");
}

TEST_CASE("a program that cannot be started costs the message nothing", "[exec]") {
  ConsumerLoop loop;
  loop.exec(settings({"/no/such/handler"}));
  CHECK(loop.handler->failed_starts() == 0);
  for (int n = 1; n <= 3; ++n) {
    const Outcome outcome = loop.handle(message());
    CHECK(outcome.kind == Kind::released);
    CHECK_THAT(outcome.error, contains("/no/such/handler") && contains("No such file"));
    CHECK(loop.handler->failed_starts() == n);
  }
  // What failed to exec is left to the reaper.
  loop.until([&] { return loop.unknown_exits.size() == 3; });
}

TEST_CASE("two hundred messages leak no descriptor and no process", "[exec]") {
  ConsumerLoop loop;
  loop.exec(settings(shell("cat; echo err >&2")));
  loop.handle(message());
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 200; ++i) REQUIRE(loop.handle(message(i)).kind == Kind::done);
  CHECK(open_descriptors() == before);
  CHECK(loop.handler->pids().empty());
  CHECK_FALSE(has_children());
}

TEST_CASE("what a handler wrote right before its end is not lost", "[exec]") {
  ConsumerLoop loop;
  loop.exec(settings(shell("echo last; echo words >&2; exit 65")));
  loop.start(message());
  // The exit comes first, as it may: the loop has read nothing yet.
  std::optional<ChildExit> exit;
  REQUIRE(eventually([&] { return (exit = reap_one()).has_value(); }));
  CHECK(loop.handler->on_exit(*exit));
  CHECK(loop.finish().error == "exited with code 65; stderr: words");

  loop.exec(settings(shell("echo last; exit 0")));
  loop.start(message());
  REQUIRE(eventually([&] { return (exit = reap_one()).has_value(); }));
  CHECK(loop.handler->on_exit(*exit));
  CHECK(loop.finish().result == "last");
}

TEST_CASE("the exit of another process is not taken for the handler's", "[exec]") {
  ConsumerLoop loop;
  loop.exec(settings(shell("read x && read y")));
  ChildExit other;
  other.pid = 4000000;
  CHECK_FALSE(loop.handler->on_exit(other));
  loop.start(message(7, "{}"));
  CHECK_FALSE(loop.handler->on_exit(other));
  CHECK(loop.finish().kind == Kind::retry);  // there is no second line
}

TEST_CASE("A message that is too large for an environment is a retry once the program has worked",
          "[exec]") {
  for (const bool has_worked : {true, false}) {
    CAPTURE(has_worked);
    HandlerSettings given = settings(shell("exit 0"));
    given.start_reports.has_worked = [has_worked] { return has_worked; };
    // Almost all that the kernel takes: a quarter of the stack's limit.
    struct rlimit stack {};
    REQUIRE(::getrlimit(RLIMIT_STACK, &stack) == 0);
    if (stack.rlim_cur == RLIM_INFINITY || stack.rlim_cur > 24U << 20U) stack.rlim_cur = 24U << 20U;
    const std::size_t taken = stack.rlim_cur / 4 - kHeadersVariableBytes / 2;
    for (std::size_t left = taken; left > 0;) {
      const std::size_t size = std::min<std::size_t>(left, 100'000);
      given.environment.push_back("X=" + std::string(size, 'x'));
      left -= size;
    }
    ConsumerLoop loop;
    loop.exec(given);
    Message large_headers = message();
    large_headers.headers = "{\"x\": \"" + std::string(kHeadersVariableBytes - 20, 'x') + "\"}";
    const Outcome outcome = loop.handle(large_headers);
    CHECK(outcome.kind == (has_worked ? Kind::retry : Kind::released));
    CHECK_THAT(outcome.error, contains("Argument list too long"));
  }
}
