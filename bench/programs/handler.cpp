// The least a jsonl handler can be: says done to every line.
//
//   handler [--takes MS] [--fails-once N] [--ages FILE | --starts FILE]
//
// --takes sleeps so long for each message. --fails-once answers retry, in 100 ms, to the first run
// of every message whose id N divides. --ages adds to FILE, as 8 bytes, the age in ns of each
// payload with a "t". --starts adds when each message began, and holds the first run of those whose
// payload has a "hold", for ever.

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>

#include "support.h"

namespace {

int open_file(const std::string& path) {
  return path.empty() ? -1 : ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
}

void add(int file, std::int64_t value) {
  if (::write(file, &value, sizeof value) != sizeof value) std::_Exit(1);
}

void sleep_until(std::int64_t when_ns) {
  const timespec when{when_ns / 1'000'000'000, when_ns % 1'000'000'000};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr) != 0) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const int ages = open_file(bench::argument(argc, argv, "--ages", ""));
  const int starts = open_file(bench::argument(argc, argv, "--starts", ""));
  const auto takes_ns = static_cast<std::int64_t>(
      std::atof(bench::argument(argc, argv, "--takes", "0").c_str()) * 1e6);
  const std::int64_t fails = std::atoll(bench::argument(argc, argv, "--fails-once", "0").c_str());
  ::prctl(PR_SET_TIMERSLACK, 1UL);  // else each sleep is 50 us longer
  std::string line;
  while (std::getline(std::cin, line)) {
    const std::int64_t now = bench::now_ns();
    if (starts >= 0) {
      add(starts, now);
      const bool first = bench::number_after(line, "\"fence\":") == 1;
      while (first && line.find("\"hold\"") != std::string::npos) ::pause();
    }
    const std::int64_t sent = ages >= 0 ? bench::number_after(line, "\"t\": ") : 0;
    if (sent != 0) add(ages, now - sent);
    if (takes_ns > 0) sleep_until(now + takes_ns);
    const std::int64_t id = bench::number_after(line, "\"id\":");
    const bool fail =
        fails > 0 && id % fails == 0 && bench::number_after(line, "\"attempt\":") == 1;
    std::cout << "{\"id\":" << id
              << (fail ? ",\"status\":\"retry\",\"after\":0.1}\n" : ",\"status\":\"done\"}\n")
              << std::flush;
  }
}
