// What the log, the errors and the fleet have of a handler: its stderr, hints where it seems to
// speak the other mode, and starts that failed.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "handlers/consumer_loop.h"
#include "handlers/jsonl_scripts.h"
#include "support/catch.h"
#include "system/log.h"

using namespace pgforeman;
using namespace pgforeman::test;
using Kind = Outcome::Kind;

namespace {

/// The log of this process while it lives.
class LogFile {
 public:
  LogFile() : fd_(::memfd_create("log", MFD_CLOEXEC)) {
    log::configure(log::Level::info, log::Format::json, fd_);
  }
  ~LogFile() {
    log::configure(log::Level::info, log::Format::text, STDERR_FILENO);
    ::close(fd_);
  }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  std::vector<nlohmann::json> lines() const {
    std::istringstream text(read_file("/proc/self/fd/" + std::to_string(fd_)));
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(text, line);) {
      CHECK(line.size() <= 4096);
      lines.push_back(nlohmann::json::parse(line));
    }
    return lines;
  }
  std::vector<std::string> of_handler() const {
    std::vector<std::string> texts;
    for (const auto& line : lines()) {
      if (line.value("from", "") == "handler") texts.push_back(line.value("message", ""));
    }
    return texts;
  }
  std::int64_t left_out() const {
    std::int64_t sum = 0;
    for (const auto& line : lines()) sum += line.value("lines", 0);
    return sum;
  }
  bool has(const std::string& text) const {
    const auto all = lines();
    return std::any_of(all.begin(), all.end(), [&](const auto& line) {
      return line.dump().find(text) != std::string::npos;
    });
  }

 private:
  int fd_;
};

/// What the fleet knows of the program.
struct Fleet {
  explicit Fleet(bool has_worked = false) : worked(has_worked) {}
  HandlerSettings with(HandlerSettings settings) {
    settings.start_reports = {[this] { return worked; },
                              [this](std::string_view why) { failures.emplace_back(why); },
                              [this] { lives = true; }};
    return settings;
  }
  bool worked;
  bool lives = false;
  std::vector<std::string> failures;
};

}  // namespace

TEST_CASE("stderr goes to the log line by line, bounded", "[said]") {
  const LogFile log;
  {
    ConsumerLoop loop;
    loop.jsonl(settings(
        answering("echo starting >&2; head -c 100000 /dev/zero | tr '\\0' 'x' >&2; echo >&2; "
                  "i=0; while [ $i -lt 3000 ]; do echo noise $i; i=$((i+1)); done >&2; printf 'no "
                  "newline' >&2; " +
                  std::string(kDone) + "; exit 0")));
    loop.handle(message());
    loop.until([&] { return loop.handler->pids().empty(); });
  }
  const auto texts = log.of_handler();
  REQUIRE(texts.size() > 100);
  CHECK(texts.size() < 2000);
  CHECK(texts.at(0) == "starting");
  CHECK_THAT(texts.at(1), contains("xxxxx"));
  CHECK(texts.at(2) == "noise 0");
  CHECK(static_cast<std::int64_t>(texts.size()) + log.left_out() == 3003);
}

TEST_CASE("stderr of exec handlers that succeed is logged, with one limit for all of them",
          "[said]") {
  const LogFile log;
  {
    ConsumerLoop loop;
    loop.exec(settings(shell("i=0; while [ $i -lt 30 ]; do echo note $i >&2; i=$((i+1)); done")));
    for (int id = 1; id <= 20; ++id) REQUIRE(loop.handle(message(id)).kind == Kind::done);
  }
  const auto texts = log.of_handler();
  CHECK(texts.at(0) == "note 0");
  CHECK(texts.size() >= 200);
  CHECK(texts.size() < 590);
  CHECK(static_cast<std::int64_t>(texts.size()) + log.left_out() == 600);
  CHECK(log.lines().size() < texts.size() + 20);
}

TEST_CASE("A failure with an empty stderr shows the end of stdout", "[said]") {
  ConsumerLoop loop;
  loop.exec(settings(shell("echo no such table; exit 1")));
  CHECK(loop.handle(message()).error == "exited with code 1; stdout: no such table");
  loop.exec(settings(shell("echo out; echo err >&2; exit 1")));
  CHECK(loop.handle(message()).error == "exited with code 1; stderr: err");
}

TEST_CASE("A jsonl answer under exec is a failure that names HANDLER_MODE=jsonl", "[said]") {
  for (const std::string printed :
       {R"({"status":"retry","after":"5s"})", R"({"id":null,"status":"done"})",
        R"({"status":"done"})", R"({"id":"x","status":"dead","error":"no"})"}) {
    for (const std::string around : {"echo '", "echo loading; echo '", "printf '%s' '"}) {
      ConsumerLoop loop;
      loop.exec(settings(shell(around + printed + "'")));
      const Outcome outcome = loop.handle(message());
      INFO(outcome.error);
      CHECK(outcome.kind == Kind::retry);
      CHECK(outcome.evidence.cause == Cause::contract);
      CHECK(outcome.evidence.exit_code == 0);
      CHECK_THAT(outcome.error, contains("speaks jsonl: set HANDLER_MODE=jsonl"));
    }
  }
  ConsumerLoop loop;
  loop.exec(settings(shell(R"(printf '{"id":1,"result":"'; head -c 300000 /dev/zero | tr '\0' x;
                              echo '","status":"done"}')")));
  CHECK(loop.handle(message()).kind == Kind::retry);
  loop.exec(settings(shell(R"(echo '{"status":"ok"}'; echo '{"level":"info","status":"done"}')")));
  CHECK(loop.handle(message()).kind == Kind::done);
}

TEST_CASE("A handler without any answer is warned of: wrong mode or no flush", "[said]") {
  const LogFile log;
  ConsumerLoop loop;
  HandlerSettings s =
      settings(shell("exec tail -f /dev/null 3>&1 >/dev/null"), Millis{1500}, Millis{100});
  s.hint_after = Millis{300};
  loop.jsonl(s);
  loop.start(message());
  loop.until([&] { return log.has("the handler has not answered yet: does it speak jsonl"); });
  CHECK_FALSE(loop.finished());
  CHECK_THAT(loop.finish().error, contains("without a first answer: does it speak jsonl"));
}

TEST_CASE("An exec handler under jsonl is recognised by its exit", "[said]") {
  ConsumerLoop loop;
  loop.jsonl(settings(shell("read -r body; exit 0")));
  const Outcome outcome = loop.handle(message());
  CHECK(outcome.kind == Kind::retry);
  CHECK_THAT(outcome.error, contains("HANDLER_MODE=exec"));
}

TEST_CASE("A Python handler that never flushes still answers", "[said]") {
  ConsumerLoop loop;
  loop.jsonl(settings({"/usr/bin/python3", "-c",
                       "import json, sys\n"
                       "for line in sys.stdin:\n"
                       "    print(json.dumps({'id': json.loads(line)['id'], 'status': 'done'}))"}));
  CHECK(loop.handle(message(1)).kind == Kind::done);
  HandlerSettings s = settings(
      answering(R"(echo "{\"id\":$id,\"status\":\"done\",\"result\":\"$PYTHONUNBUFFERED\"}")"));
  s.environment.emplace_back("PYTHONUNBUFFERED=2");
  loop.jsonl(s);
  CHECK(loop.handle(message(2)).result == "2");
}

TEST_CASE("An answer of many MiB and blank lines between answers are believed", "[said]") {
  ConsumerLoop loop;
  loop.jsonl(settings(answering(
      R"(printf '{"result":"'; head -c 3000000 /dev/zero | tr '\0' r;
         echo "\",\"more\":[1,2],\"id\":$id,\"status\":\"done\"}"; echo; echo ' ')")));
  loop.handler->open();
  const pid_t pid = loop.handler->pids().at(0);
  for (int id = 1; id <= 3; ++id) {
    const Outcome outcome = loop.handle(message(id));
    CHECK(outcome.kind == Kind::done);
    CHECK(outcome.result == std::string(4096, 'r'));
  }
  CHECK(loop.handler->pids().at(0) == pid);
}

TEST_CASE("An answer that had to be mended is in the log", "[said]") {
  const LogFile log;
  ConsumerLoop loop;
  loop.jsonl(settings(answering(R"(printf '{"id":%s,"status":"dead","error":"caf\351"}\n' $id)")));
  const Outcome outcome = loop.handle(message(1));
  CHECK(outcome.kind == Kind::dead);
  CHECK(outcome.error == "caf\xEF\xBF\xBD");
  CHECK(log.has("handler's answer repaired"));
}

TEST_CASE("126, 127 and a missing script are failed starts until a run has succeeded", "[said]") {
  const std::vector<std::vector<std::string>> commands = {
      shell("exit 126"),
      shell("no-such-program"),
      {"/bin/sh", "/no/such/script"},
      {"/usr/bin/python3", "-W", "ignore", "/no/such/script.py"}};
  for (const auto& argv : commands) {
    INFO(argv.back());
    Fleet fleet;
    ConsumerLoop loop;
    loop.exec(fleet.with(settings(argv)));
    const Outcome outcome = loop.handle(message());
    CHECK(outcome.kind == Kind::released);
    CHECK(outcome.evidence.cause == Cause::none);
    CHECK(fleet.failures.size() == 1);
    CHECK(loop.handler->failed_starts() == 1);
    fleet.worked = true;
    CHECK(loop.handle(message()).kind == Kind::retry);
    CHECK(fleet.failures.size() == 1);
    CHECK(loop.handler->failed_starts() == 0);
  }
  Fleet fleet(true);
  ConsumerLoop loop;
  loop.exec(fleet.with(settings({"/no/such/handler"})));
  CHECK(loop.handle(message()).kind == Kind::retry);
}

TEST_CASE("A run that goes on for half a second has started", "[said]") {
  Fleet fleet;
  ConsumerLoop loop;
  loop.exec(fleet.with(settings(shell("exec tail -f /dev/null 3>&1 >/dev/null"))));
  loop.start(message());
  loop.until([&] { return fleet.lives; });
  CHECK_FALSE(loop.finished());
  fleet.lives = false;
  loop.jsonl(fleet.with(settings(shell("read -r line; exec tail -f /dev/null 3>&1 >/dev/null"))));
  loop.start(message());
  loop.until([&] { return fleet.lives; });
  CHECK(fleet.failures.empty());
}
