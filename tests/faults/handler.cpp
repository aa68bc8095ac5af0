// A handler that keeps a ledger. `fault_handler exec|jsonl LEDGER FLEET`: each run writes
//   begin FLEET ID FENCE PROCESS TIME KEY
// before it does anything, and
//   done FLEET ID FENCE PROCESS TIME KEY    (or: failed)
// before it says so. Each line is on disk before the handler goes on. TIME: the monotonic clock.
// PROCESS: its pid, and the time of its first line, as pids are reused. ID: "n" of the payload,
// which its sender gives no second message, whatever is restored. KEY: the idempotency key, if any.
// The payload says what is to be done; the fence, which grows with each claim, lets trouble end:
//   {"do": "work", "ms": 5}    takes that long
//   {"do": "fail"}             fails on odd fences
//   {"do": "crash"}            dies of a signal on odd fences
//   {"do": "hang"}             never ends on odd fences
//   {"do": "litter", "ms": 5}  leaves a process in a session of its own, then takes that
//   long
//   {"do": "poison"}           always dies of a signal
// While there is a file LEDGER.exit-0 a handler that begins a message ends with code 0 on SIGTERM
// from then on, as many frameworks do.

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
std::string fleet, process, exit_0;

struct Message {
  std::string id, fence, key, payload;
};

void write_down(const char* what, const Message& message) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  char time[40];
  std::snprintf(time, sizeof time, "%lld.%06ld", static_cast<long long>(now.tv_sec),
                now.tv_nsec / 1000);
  if (process.empty()) process = std::to_string(::getpid()) + "@" + time;
  char line[240];
  const int size = std::snprintf(line, sizeof line, "%s %s %s %s %s %s %s\n", what, fleet.c_str(),
                                 message.id.c_str(), message.fence.c_str(), process.c_str(), time,
                                 message.key.c_str());
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
bool handle(const Message& message) {
  if (::access(exit_0.c_str(), F_OK) == 0) std::signal(SIGTERM, [](int) { std::_Exit(0); });
  write_down("begin", message);
  const std::string what = value_of(message.payload, "do");
  const bool odd = std::atoll(message.fence.c_str()) % 2 == 1;
  if (what == "litter") litter();
  ::poll(nullptr, 0, std::atoi(value_of(message.payload, "ms").c_str()));
  if (what == "poison" || (what == "crash" && odd)) ::kill(::getpid(), SIGSEGV);
  while (what == "hang" && odd) ::pause();
  const bool done = what != "fail" || !odd;
  write_down(done ? "done" : "failed", message);
  return done;
}

int exec() {
  const std::string payload{std::istreambuf_iterator<char>(std::cin), {}};
  const char* key = std::getenv("PGFOREMAN_IDEMPOTENCY_KEY");
  const bool done = handle(
      {value_of(payload, "n"), variable("PGFOREMAN_FENCE"), key != nullptr ? key : "", payload});
  if (!done) std::fprintf(stderr, "it broke\n");
  return done ? 0 : 1;
}

int jsonl() {
  for (std::string line; std::getline(std::cin, line);) {
    const std::string id = value_of(line, "id");
    const std::string payload = line.substr(line.find("\"payload\":") + 10);
    const bool done = handle({value_of(payload, "n"), value_of(line, "fence"),
                              value_of(line, "idempotency_key"), payload});
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
  exit_0 = std::string(argv[2]) + ".exit-0";
  fleet = argv[3];
  return std::strcmp(argv[1], "jsonl") == 0 ? jsonl() : exec();
}
