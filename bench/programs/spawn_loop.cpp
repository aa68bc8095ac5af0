// The limit of a process for each message: N processes, each of which starts `true` and waits for
// its end, again and again.
//
//   spawn_loop --children N
//
// Says "ready". A line "go COUNT" on stdin has them start so many in all; each other line is
// answered with the number of those that ended. Ends with its stdin.

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>

#include "support.h"

namespace {

struct Shared {
  std::atomic<std::int64_t> left{0};
  std::atomic<std::int64_t> done{0};
};

void run_one() {
  char name[] = "true";
  char* const words[] = {name, nullptr};
  pid_t pid = 0;
  int status = 0;
  if (::posix_spawnp(&pid, name, nullptr, nullptr, words, environ) != 0) std::_Exit(1);
  if (::waitpid(pid, &status, 0) != pid || status != 0) std::_Exit(1);
}

void work(Shared& all) {
  while (true) {
    if (all.left-- > 0) {
      run_one();
      ++all.done;
    } else {
      ++all.left;
      ::usleep(500);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int children = std::atoi(bench::argument(argc, argv, "--children", "1").c_str());
  auto& all = *bench::shared<Shared>();
  const auto workers = bench::fork_workers(children, [&](int) { work(all); });
  std::cout << "ready" << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line.starts_with("go ")) {
      all.left += std::atoll(line.c_str() + 3);
    } else {
      std::cout << all.done << std::endl;
    }
  }
  bench::end_workers(workers, SIGKILL);
}
