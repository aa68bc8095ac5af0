// jsonl: whatever breaks the contract is named in the error, costs the message an attempt, and
// the next message gets a new process.

#include <signal.h>

#include <optional>
#include <system_error>

#include "handlers/consumer_loop.h"
#include "handlers/jsonl_scripts.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;
using Catch::Matchers::StartsWith;
using Kind = Outcome::Kind;

namespace {

/// Message 1 makes the handler do `misdeed`; every other one is answered. Gives the outcome of the
/// first, having seen that its process is gone and that the next message works.
Outcome outcome_of(const std::string& misdeed, Millis timeout = Millis{20000}) {
  ConsumerLoop loop;
  loop.jsonl(
      settings(answering("case $id in 1) " + misdeed + "\n;; *) " + kDone + ";; esac"), timeout));
  loop.handler->open();
  const pid_t first = loop.handler->pids().at(0);
  Outcome outcome = loop.handle(message(1));
  CHECK_FALSE(is_alive(first));
  // It had read the message: that it starts is beyond doubt.
  CHECK(loop.handler->failed_starts() == 0);
  CHECK(loop.handle(message(2)).kind == Kind::done);
  CHECK(loop.handler->pids().at(0) != first);
  CHECK(loop.handler->failed_starts() == 0);
  return outcome;
}

std::string error_of(const std::string& misdeed, Cause cause = Cause::contract) {
  const Outcome outcome = outcome_of(misdeed);
  CHECK(outcome.kind == (cause == Cause::signal ? Kind::crash : Kind::retry));
  CHECK(outcome.evidence.cause == cause);
  CHECK_FALSE(outcome.after);
  return outcome.error;
}

}  // namespace

TEST_CASE("a line that is not JSON is quoted in the error", "[jsonl_violation]") {
  CHECK(error_of("echo 'Traceback: oh no'; read x") ==
        "the handler printed a line that is not JSON: \"Traceback: oh no\"");
  CHECK_THAT(error_of("printf '\\377\\376\\n'; read x"), contains("not JSON"));
  CHECK_THAT(error_of("echo '[]'; read x"), contains("not a JSON object"));
}

TEST_CASE("the error of a violation ends with the last lines of stderr", "[jsonl_violation]") {
  CHECK(error_of("echo cause >&2; echo garbage; read x") ==
        "the handler printed a line that is not JSON: \"garbage\"; stderr: cause");
}

TEST_CASE("a wrong id and an unknown status are named", "[jsonl_violation]") {
  CHECK_THAT(error_of(R"(echo '{"id":9,"status":"done"}'; read x)"),
             contains("wrong \"id\" 9 (number) instead of 1"));
  CHECK_THAT(error_of(R"(echo '{"id":1,"status":"okay"}'; read x)"),
             contains("unknown \"status\"") && contains("okay"));
}

TEST_CASE("an end in the middle of a line is named", "[jsonl_violation]") {
  CHECK_THAT(error_of(R"(printf '{"id":1,"sta'; exit 0)", Cause::exit_code),
             contains("exited with code 0 after half a line") && contains("sta"));
  CHECK_THAT(error_of(R"(printf '{"id":1,"sta'; exec >&-; read x)"),
             contains("closed its stdout after half a line"));
}

TEST_CASE("a line over a megabyte is named and not kept", "[jsonl_violation]") {
  CHECK_THAT(error_of("tr '\\0' x </dev/zero"),
             contains("a line that is too long to be an answer"));
  CHECK_THAT(error_of("head -c 1048577 /dev/zero | tr '\\0' x; echo; read x"),
             contains("a line that is too long to be an answer"));
}

TEST_CASE("a closed stdout is named", "[jsonl_violation]") {
  CHECK(error_of("exec >&-; read x") == "the handler closed its stdout without an answer");
}

TEST_CASE("a closed stdin is named when the message does not fit the pipe", "[jsonl_violation]") {
  ConsumerLoop loop;
  loop.jsonl(
      settings(shell("head -c 10 >/dev/null; exec <&-; exec tail -f /dev/null 3>&1 >/dev/null")));
  const Outcome outcome = loop.handle(message(1, "\"" + std::string(1U << 20U, 'x') + "\""));
  CHECK(outcome.kind == Kind::retry);
  CHECK(outcome.error == "the handler closed its stdin before the message's end");
}

TEST_CASE("an exit or a crash without an answer is named", "[jsonl_violation]") {
  CHECK(error_of("echo why >&2; exit 3", Cause::exit_code) ==
        "the handler exited with code 3 without an answer; stderr: why");
  CHECK_THAT(error_of("kill -SEGV $$", Cause::signal),
             StartsWith("the handler was killed by SIGSEGV") && contains("without an answer"));
}

TEST_CASE("an answer before the whole message was read is named", "[jsonl_violation]") {
  ConsumerLoop loop;
  loop.jsonl(settings(shell(R"(head -c 10 >/dev/null; echo '{"id":1,"status":"done"}'; )"
                            "exec tail -f /dev/null 3>&1 >/dev/null")));
  const Outcome outcome = loop.handle(message(1, "\"" + std::string(1U << 20U, 'x') + "\""));
  CHECK(outcome.kind == Kind::retry);
  CHECK_THAT(outcome.error, contains("before it had read the whole message"));
}

TEST_CASE("a violation kills the handler's whole group at once", "[jsonl_violation]") {
  const std::string pid_file = fresh_path("pid");
  ConsumerLoop loop;
  loop.jsonl(settings(answering("trap '' TERM; tail -f /dev/null 3>&1 >/dev/null & echo $! >" +
                                pid_file + "; echo garbage; wait"),
                      Millis{20000}, Millis{60000}));
  CHECK(loop.handle(message(1)).kind == Kind::retry);
  const pid_t grandchild = std::stoi(wait_for_line(pid_file));
  CHECK(eventually([&] { return !is_alive(grandchild); }));
}

TEST_CASE("a second answer ends the process, the first one counts", "[jsonl_violation]") {
  ConsumerLoop loop;
  // One write, so that both lines arrive together.
  loop.jsonl(
      settings(answering(R"(a="{\"id\":$id,\"status\":\"done\"}"; printf '%s\n%s\n' "$a" "$a")")));
  for (int id = 1; id <= 10; ++id) {
    loop.handler->open();
    const pid_t pid = loop.handler->pids().back();
    CHECK(loop.handle(message(id)).kind == Kind::done);
    loop.until([&] { return loop.handler->pids().empty(); });
    CHECK_FALSE(is_alive(pid));
  }
  CHECK(loop.handler->failed_starts() == 0);
}

TEST_CASE("half a line after an answer ends the process, the message is done",
          "[jsonl_violation]") {
  ConsumerLoop loop;
  loop.jsonl(settings(answering(R"(printf '{"id":%s,"status":"done"}\nhalf' $id)")));
  CHECK(loop.handle(message(1)).kind == Kind::done);
  loop.until([&] { return loop.handler->pids().empty(); });
  CHECK(loop.handle(message(2)).kind == Kind::done);
}

TEST_CASE("unexpected output never becomes an answer", "[jsonl_violation]") {
  // It answers message 2 before it was asked.
  const std::string printed = fresh_path("printed");
  ConsumerLoop loop;
  loop.jsonl(settings(answering(
      std::string(kDone) + R"(; if [ $id = 1 ]; then (echo '{"id":2,"status":"dead"}'; echo >)" +
      printed + ") & fi")));
  loop.handler->open();
  const pid_t pid = loop.handler->pids().at(0);
  CHECK(loop.handle(message(1)).kind == Kind::done);
  // It was printed, or its process was already killed for it.
  REQUIRE(eventually([&] { return !read_file(printed).empty() || !is_alive(pid); }));
  CHECK(loop.handle(message(2)).kind == Kind::done);
}

TEST_CASE("a banner at the start is unexpected output", "[jsonl_violation]") {
  const std::string printed = fresh_path("printed");
  ConsumerLoop loop;
  loop.jsonl(
      settings(shell("echo Ready; echo >" + printed + "; exec tail -f /dev/null 3>&1 >/dev/null")));
  loop.handler->open();
  const pid_t first = loop.handler->pids().at(0);
  wait_for_line(printed);
  loop.until([&] { return loop.handler->pids().empty(); });
  CHECK_FALSE(is_alive(first));
  CHECK(loop.handler->failed_starts() == 1);
}

TEST_CASE("a handler that dies at its start costs the message no attempt", "[jsonl_violation]") {
  ConsumerLoop loop;
  loop.jsonl(settings(shell("echo ImportError >&2; exit 1")));
  for (int n = 1; n <= 3; ++n) {
    const Outcome outcome = loop.handle(message(1));
    CHECK(outcome.kind == Kind::released);
    CHECK(outcome.error ==
          "the handler exited with code 1 before it read the message; stderr: ImportError");
    // More when one died between open() and run(), which then started another.
    CHECK(loop.handler->failed_starts() >= n);
  }
}

TEST_CASE("a handler that dies before it read a message larger than the pipe costs no attempt",
          "[jsonl_violation]") {
  ConsumerLoop loop;
  loop.jsonl(settings(shell("exit 1")));
  const Outcome outcome = loop.handle(message(1, "\"" + std::string(1U << 20U, 'x') + "\""));
  CHECK(outcome.kind == Kind::released);
  CHECK_THAT(outcome.error, contains("before it read the message"));
}

TEST_CASE("a program that cannot be started costs a jsonl message nothing", "[jsonl_violation]") {
  ConsumerLoop loop;
  loop.jsonl(settings({"/no/such/handler"}));
  CHECK_THROWS_AS(loop.handler->open(), std::system_error);
  CHECK(loop.handler->failed_starts() == 1);
  std::optional<Outcome> outcome;
  const Message m = message();
  loop.handler->run(m, [&](Outcome made) { outcome = std::move(made); });
  CHECK_FALSE(outcome);  // never from within run()
  loop.until([&] { return outcome.has_value(); });
  CHECK(outcome->kind == Kind::released);
  CHECK_THAT(outcome->error, contains("/no/such/handler"));
  CHECK(loop.handler->failed_starts() == 2);
}
