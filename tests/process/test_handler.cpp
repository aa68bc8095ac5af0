// A handler for tests. `test_handler exec FILE` handles the message on its stdin, `test_handler
// jsonl FILE` one a line. Each run appends one line to FILE:
//   id attempt fence seconds-since-the-epoch pid
// The payload says what comes then (spaces as PostgreSQL prints jsonb):
//   {"do": "sleep", "ms": 100}       takes that long
//   {"do": "hold"}                   waits until FILE.go exists
//   {"do": "fail", "code": 3}        exec: says "it broke" on stderr and exits so; jsonl: retry
//   {"do": "after", "after": "2s"}   jsonl: retry after that
//   {"do": "leak", "mib": 100}       holds that much more memory from now on
//   {"do": "murder"}                 says so on stderr, kills its consumer, then holds
//   {"do": "die", "signal": 11}      says so on stderr and kills itself
//   {"do": "quit", "code": 0}        holds, and exits with the code when TERM comes
//   {"do": "hoard", "mib": 100}      holds that much more memory, and holds
//   {"do": "eat"}                    takes 2 GiB of memory, 1 MiB at a time
//   {"do": "crowd"}                  leaves processes in sessions of their own, one with no
//                                    environment, and their ids in FILE.crowd, then holds
//   {"do": "horde", "size": 250}     at its first run: leaves so many orphans, in a session
//                                    each, then holds
// Anything else is done at once.

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "support/handler_words.h"

using namespace pgforeman::test;

namespace {

std::string file;

void record(const std::string& id, const std::string& attempt, const std::string& fence) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  char line[200];
  const int size = std::snprintf(line, sizeof line, "%s %s %s %lld.%06ld %d\n", id.c_str(),
                                 attempt.c_str(), fence.c_str(), static_cast<long long>(now.tv_sec),
                                 now.tv_nsec / 1000, static_cast<int>(::getpid()));
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  // One write of O_APPEND: lines of many processes never mix.
  if (fd < 0 || ::write(fd, line, static_cast<std::size_t>(size)) != size) std::_Exit(99);
  ::close(fd);
}

int quit_code = 0;

void pause_ms(int ms) {
  ::poll(nullptr, 0, ms);
}

void hold() {
  while (::access((file + ".go").c_str(), F_OK) != 0) pause_ms(5);
}

void leak(std::size_t mib) {
  static std::vector<std::string> leaked;
  leaked.emplace_back(mib << 20U, 'x');
}

/// A line that no other process writes into.
void append(const std::string& path, const std::string& line) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0 || ::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    std::_Exit(99);
  }
  ::close(fd);
}

/// Out of the group, out of the session, orphaned, one that ignores TERM, and a daemon that closed
/// everything and has no environment.
void leave_a_crowd() {
  for (int i = 0; i < 4; ++i) {
    if (::fork() != 0) continue;
    ::setsid();
    if (i == 2) std::signal(SIGTERM, SIG_IGN);
    if (i > 0 && ::fork() != 0) ::_exit(0);
    append(file + ".crowd", std::to_string(::getpid()) + "\n");
    if (i == 3) {
      for (int fd = 0; fd < 64; ++fd) ::close(fd);
      ::execle("/bin/sleep", "sleep", "1000", nullptr, std::vector<char*>{nullptr}.data());
    }
    for (;;) ::pause();
  }
}

void leave_a_horde(int size) {
  for (int i = 0; i < size; ++i) {
    if (::fork() != 0) continue;
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    for (;;) ::pause();
  }
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
}

void eat() {
  constexpr std::size_t kMiB = 1U << 20U;
  for (int i = 0; i < 2048; ++i) {
    auto* block = static_cast<volatile char*>(std::malloc(kMiB));
    if (block == nullptr) return;
    for (std::size_t at = 0; at < kMiB; at += 4096) block[at] = 1;
  }
}

void act(const std::string& payload, const std::string& fence) {
  std::string what = value_of(payload, "do");
  if (what == "horde" && fence != "1") what.clear();
  if (what == "sleep") pause_ms(std::atoi(value_of(payload, "ms").c_str()));
  if (what == "leak") leak(std::strtoul(value_of(payload, "mib").c_str(), nullptr, 10));
  if (what == "crowd") leave_a_crowd();
  if (what == "horde") leave_a_horde(std::atoi(value_of(payload, "size").c_str()));
  if (what == "eat") eat();
  if (what == "hoard") leak(std::strtoul(value_of(payload, "mib").c_str(), nullptr, 10));
  if (what == "die" || what == "murder") {
    std::fprintf(stderr, "first words\nlast words\n");
    // The consumer reads them at once, unless it is dead before it had its turn.
    pause_ms(20);
  }
  if (what == "die") ::kill(::getpid(), std::atoi(value_of(payload, "signal").c_str()));
  if (what == "murder") ::kill(::getppid(), SIGKILL);
  if (what == "hold" || what == "crowd" || what == "horde" || what == "murder" || what == "quit" ||
      what == "hoard") {
    hold();
  }
}

/// Before the run is written down: a test that saw it may send TERM at once.
void get_ready(const std::string& payload) {
  if (value_of(payload, "do") != "quit") return;
  quit_code = std::atoi(value_of(payload, "code").c_str());
  std::signal(SIGTERM, [](int) { ::_exit(quit_code); });
}

int exec() {
  const std::string payload{std::istreambuf_iterator<char>(std::cin), {}};
  get_ready(payload);
  record(variable("PGFOREMAN_MESSAGE_ID"), variable("PGFOREMAN_ATTEMPT"),
         variable("PGFOREMAN_FENCE"));
  act(payload, variable("PGFOREMAN_FENCE"));
  if (value_of(payload, "do") != "fail") return 0;
  std::fprintf(stderr, "it broke\n");
  return std::atoi(value_of(payload, "code").c_str());
}

int jsonl() {
  for (std::string line; std::getline(std::cin, line);) {
    const std::string id = value_of(line, "id");
    get_ready(line.substr(line.find("\"payload\":") + 10));
    record(id, value_of(line, "attempt"), value_of(line, "fence"));
    const std::string payload = line.substr(line.find("\"payload\":") + 10);
    act(payload, value_of(line, "fence"));
    const std::string what = value_of(payload, "do");
    std::string answer = "\"status\":\"done\"";
    if (what == "fail") answer = R"("status":"retry","error":"it broke")";
    if (what == "after") {
      answer = R"("status":"retry","after":")" + value_of(payload, "after") + "\"";
    }
    std::printf("{\"id\":%s,%s}\n", id.c_str(), answer.c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 98;
  file = argv[2];
  return std::strcmp(argv[1], "jsonl") == 0 ? jsonl() : exec();
}
