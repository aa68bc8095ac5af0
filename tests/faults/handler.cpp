// A handler that keeps a ledger. `fault_handler exec|jsonl LEDGER FLEET`: each run writes
//   begin FLEET ID FENCE PROCESS TIME
// before it does anything, and
//   done FLEET ID FENCE PROCESS TIME    (or: failed)
// before it says so. Each line is on disk before the handler goes on. TIME: the monotonic clock.
// PROCESS: its pid, and the time of its first line, as pids come again.
// The payload says what is to be done; the fence, which grows with each claim, lets trouble end:
//   {"do": "work", "ms": 5}    takes that long
//   {"do": "fail"}             fails on odd fences
//   {"do": "crash"}            dies of a signal on odd fences
//   {"do": "hang"}             never ends on odd fences
//   {"do": "litter"}           leaves a process behind in a session of its own
//   {"do": "poison"}           always dies of a signal

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <iterator>
#include <string>

#include "support/handler_words.h"

using namespace pgforeman::test;

namespace {

int ledger = -1;
std::string fleet, process;

void write_down(const char* what, const std::string& id, const std::string& fence) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  char time[40];
  std::snprintf(time, sizeof time, "%lld.%06ld", static_cast<long long>(now.tv_sec),
                now.tv_nsec / 1000);
  if (process.empty()) process = std::to_string(::getpid()) + "@" + time;
  char line[240];
  const int size = std::snprintf(line, sizeof line, "%s %s %s %s %s %s\n", what, fleet.c_str(),
                                 id.c_str(), fence.c_str(), process.c_str(), time);
  // One write of O_APPEND and O_DSYNC: whole, and on disk when it returns.
  if (::write(ledger, line, static_cast<std::size_t>(size)) != size) std::_Exit(99);
}

void litter() {
  if (::fork() != 0) return;
  ::setsid();
  ::alarm(20);  // so that a fleet that may not end it yet does not drown
  for (;;) ::pause();
}

/// Whether it is done. Does not return from some payloads.
bool handle(const std::string& id, const std::string& fence, const std::string& payload) {
  write_down("begin", id, fence);
  const std::string what = value_of(payload, "do");
  const bool odd = std::atoll(fence.c_str()) % 2 == 1;
  if (what == "work") ::poll(nullptr, 0, std::atoi(value_of(payload, "ms").c_str()));
  if (what == "litter") litter();
  if (what == "poison" || (what == "crash" && odd)) ::kill(::getpid(), SIGSEGV);
  while (what == "hang" && odd) ::pause();
  const bool done = what != "fail" || !odd;
  write_down(done ? "done" : "failed", id, fence);
  return done;
}

int exec() {
  const std::string payload{std::istreambuf_iterator<char>(std::cin), {}};
  const bool done = handle(variable("PGFOREMAN_MESSAGE_ID"), variable("PGFOREMAN_FENCE"), payload);
  if (!done) std::fprintf(stderr, "it broke\n");
  return done ? 0 : 1;
}

int jsonl() {
  for (std::string line; std::getline(std::cin, line);) {
    const std::string id = value_of(line, "id");
    const std::string payload = line.substr(line.find("\"payload\":") + 10);
    const bool done = handle(id, value_of(line, "fence"), payload);
    std::printf(done ? "{\"id\":%s,\"status\":\"done\"}\n"
                     : "{\"id\":%s,\"status\":\"retry\",\"error\":\"it broke\"}\n",
                id.c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 98;
  ledger = ::open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_DSYNC | O_CLOEXEC, 0666);
  if (ledger < 0) return 97;
  fleet = argv[3];
  return std::strcmp(argv[1], "jsonl") == 0 ? jsonl() : exec();
}
