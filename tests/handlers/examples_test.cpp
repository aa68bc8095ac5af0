// The example handlers do what they say.

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "handlers/consumer_loop.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;
using Kind = Outcome::Kind;

namespace {

std::string example(const std::string& name) {
  return std::string(PGFOREMAN_EXAMPLES) + "/" + name;
}

/// The path of an interpreter, as a shell finds it. Missing is a failure: every example must run.
std::string interpreter(const std::string& name, const std::string& package) {
  std::istringstream folders(std::getenv("PATH"));
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string path = folder + "/" + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  FAIL(name << " is not installed: apt-get install " << package);
  return {};
}

std::string file_of_words(int words) {
  const std::string path = fresh_path("words.txt");
  std::ofstream out(path);
  for (int i = 0; i < words; ++i) out << "word" << (i % 7 == 6 ? "\n" : " ");
  return path;
}

std::string quoted(const std::string& text) {
  return "\"" + text + "\"";
}

void check_jsonl_example(ConsumerLoop& loop) {
  const std::string file = file_of_words(1234);
  const auto payload = [](const std::string& path) { return R"({"path": ")" + path + "\"}"; };
  for (int id = 1; id <= 5; ++id) {
    const Outcome done = loop.handle(message(id, payload(file)));
    INFO(done.error);
    CHECK(done.kind == Kind::done);
    CHECK_THAT(done.result, contains("words") && contains("1234"));
  }
  const auto pids = loop.handler->pids();
  const Outcome retry = loop.handle(message(6, payload("/no/such/file")));
  CHECK(retry.kind == Kind::retry);
  CHECK(retry.after == Millis{30000});
  CHECK(retry.error == "not there yet: /no/such/file");
  const Outcome directory = loop.handle(message(7, payload("/")));
  CHECK(directory.kind == Kind::retry);
  CHECK_FALSE(directory.after);
  const Outcome dead = loop.handle(message(8, "[1, 2]"));
  CHECK(dead.kind == Kind::dead);
  CHECK_THAT(dead.error, contains("the payload must be"));
  CHECK(loop.handle(message(9, "null")).kind == Kind::dead);
  // All of that by one process, which ends by itself when its input does.
  CHECK(loop.handler->pids() == pids);
  loop.handler->close();
  loop.until([&] { return loop.handler->pids().empty(); });
}

}  // namespace

TEST_CASE("the shell example counts words", "[examples]") {
  ConsumerLoop loop;
  loop.exec(settings({example("shell/word_count.sh")}));
  const Outcome done = loop.handle(message(1, quoted(file_of_words(321))));
  INFO(done.error);
  CHECK(done.kind == Kind::done);
  CHECK_THAT(done.result, contains("321"));
  const Outcome retry = loop.handle(message(2, quoted("/no/such/file")));
  CHECK(retry.kind == Kind::retry);
  CHECK(retry.error == "exited with code 1; stderr: attempt 2: cannot read /no/such/file");
  for (const std::string bad : {"{}", "5", "\"", "\"\"", R"("a\"b")"}) {
    INFO(bad);
    CHECK(loop.handle(message(3, bad)).kind == Kind::dead);
  }
}

TEST_CASE("the Python exec example counts words", "[examples]") {
  ConsumerLoop loop;
  loop.exec(settings({interpreter("python3", "python3"), example("python/exec_handler.py")}));
  const Outcome done = loop.handle(message(41, R"({"text": "so many words"})"));
  INFO(done.error);
  CHECK(done.kind == Kind::done);
  CHECK(done.result == R"({"message": 41, "words": 3})");
  CHECK(loop.handle(message(1, R"({"text": 5})")).kind == Kind::dead);
  CHECK(loop.handle(message(1, "[]")).kind == Kind::dead);
}

TEST_CASE("the Python jsonl example keeps the contract", "[examples]") {
  ConsumerLoop loop;
  loop.jsonl(settings({interpreter("python3", "python3"), example("python/jsonl_handler.py")}));
  check_jsonl_example(loop);
}

TEST_CASE("the Node jsonl example keeps the contract", "[examples]") {
  ConsumerLoop loop;
  loop.jsonl(settings({interpreter("node", "nodejs"), example("node/jsonl_handler.js")}));
  check_jsonl_example(loop);
}
