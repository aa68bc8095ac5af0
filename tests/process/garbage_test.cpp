// A child that goes wild over the shared memory of the fleet.

#include <csignal>
#include <random>

#include "process/bed.h"
#include "support/shared_memory.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

/// A process that is none of the fleet's, and must be alive in the end.
struct Stranger {
  Stranger() {
    Launch what;
    what.argv = {"/bin/sleep", "600"};
    pid = launch(what);
  }
  ~Stranger() {
    ::kill(pid, SIGKILL);
    wait_for_end(pid, 5s);
    pid = 0;
  }
  static inline pid_t pid = 0;
};

using Word = std::uint32_t (*)(std::minstd_rand&);

struct Pattern {
  std::string name;
  Word word;
};

const std::vector<Pattern>& patterns() {
  static const std::vector<Pattern> all = {
      {"random",
       [](std::minstd_rand& random) { return static_cast<std::uint32_t>(random() * 3U); }},
      {"ones", [](std::minstd_rand&) { return ~std::uint32_t{0}; }},
      {"zeros", [](std::minstd_rand&) { return std::uint32_t{0}; }},
      // Every ledger then says that it is an orphan's.
      {"twos", [](std::minstd_rand&) { return std::uint32_t{2}; }},
      {"a stranger's pid",
       [](std::minstd_rand&) { return static_cast<std::uint32_t>(Stranger::pid); }},
  };
  return all;
}

}  // namespace

TEST_CASE("Garbage over all shared memory neither ends the supervisor nor stops the fleet",
          "[garbage]") {
  const Stranger stranger;
  for (const auto& pattern : patterns()) {
    INFO(pattern.name);
    Bed bed;
    Fleet fleet(bed.settings({{"POLL_INTERVAL", "100ms"},
                              {"HANDLER_MODE", "jsonl"},
                              {"VISIBILITY_TIMEOUT", "1s"},
                              {"RETRY_BACKOFF", "10ms"},
                              {"MAX_ATTEMPTS", "100"},
                              {"HANDLER_TIMEOUT", "1s"},
                              {"SHUTDOWN_GRACE", "5s"}}));
    bed.send(400, R"({"do": "sleep", "ms": 10})");
    REQUIRE(bed.wait_for_runs(20));
    const auto memory = shared_memory(fleet.pid());
    REQUIRE_FALSE(memory.empty());
    Watch watch(fleet.port());
    for (const auto& mapping : memory) {
      std::minstd_rand random{12345};
      const bool done = overwrite(fleet.pid(), mapping, [&] { return pattern.word(random); });
      INFO(fleet.errors());  // a sanitizer's last words
      REQUIRE(done);
    }
    const double start = monotonic_now();
    // The worst: a child killed at a phase's deadline of 20 s, as the supervisor clamps it.
    CHECK(bed.wait_until_empty(40s));
    CHECK(distinct(bed.runs()) == 400);
    REQUIRE(fleet.wait_ready(30s));
    say("P12 " + pattern.name + ": all messages handled " +
        std::to_string(monotonic_now() - start) + " s after garbage over " +
        std::to_string((memory[0].to - memory[0].from) >> 20U) + " MiB");
    INFO(fleet.errors());
    CHECK(alive(fleet.pid()));
    const auto seen = watch.finish();
    INFO(seen.text());
    CHECK(seen.problems.empty());
    fleet.signal(SIGTERM);
    const auto end = fleet.wait_end();
    REQUIRE(end);
    CHECK(end->code == 0);
    CHECK(fleet.processes().empty());
    CHECK(alive(Stranger::pid));
  }
}
