// A child that goes wild over the shared memory of the fleet.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <random>
#include <sstream>

#include "process/bed.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

struct Mapping {
  std::uint64_t from = 0, to = 0;
};

/// The anonymous memory that `pid` shares with its relatives, largest first.
std::vector<Mapping> shared_memory(pid_t pid) {
  std::vector<Mapping> found;
  for (const auto& line : read_lines("/proc/" + std::to_string(pid) + "/maps")) {
    unsigned long from = 0, to = 0;
    char rights[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &from, &to, rights) != 3) continue;
    if (std::string(rights) == "rw-s" && line.find("/dev/zero") != std::string::npos) {
      found.push_back({from, to});
    }
  }
  std::sort(found.begin(), found.end(),
            [](const Mapping& a, const Mapping& b) { return a.to - a.from > b.to - b.from; });
  return found;
}

using Word = std::uint32_t (*)(std::minstd_rand&);

/// False when the process ended meanwhile.
bool overwrite(pid_t pid, const Mapping& mapping, Word word) {
  const std::string path = "/proc/" + std::to_string(pid) + "/mem";
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  std::minstd_rand random{12345};
  std::vector<std::uint32_t> block(1U << 18U);
  std::uint64_t done = 0;
  for (auto at = mapping.from; at < mapping.to; at += block.size() * 4) {
    for (auto& one : block) one = word(random);
    const auto size = std::min<std::uint64_t>(block.size() * 4, mapping.to - at);
    const auto written = ::pwrite(fd, block.data(), size, static_cast<off_t>(at));
    if (written != static_cast<ssize_t>(size)) break;
    done += size;
  }
  ::close(fd);
  return done == mapping.to - mapping.from;
}

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
  };
  return all;
}

}  // namespace

TEST_CASE("Garbage over all shared memory neither ends the supervisor nor stops the fleet",
          "[garbage]") {
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
      const bool done = overwrite(fleet.pid(), mapping, pattern.word);
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
  }
}
