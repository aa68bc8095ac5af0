#include "base/signals.h"

#include <sys/signalfd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <string>
#include <system_error>

namespace pgforeman {

void block_all_signals() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
}

void reset_signal_dispositions() {
  struct sigaction fresh {};
  fresh.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP) ::sigaction(number, &fresh, nullptr);
  }
}

UniqueFd open_signalfd(std::initializer_list<int> signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : signals) ::sigaddset(&set, number);
  UniqueFd fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) throw std::system_error(errno, std::generic_category(), "signalfd");
  return fd;
}

bool was_not_sent(pid_t pid, int signal) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(signal - 1);
  int sets = 0;
  for (std::string name; status >> name;) {
    if (name == "State:" && status >> name && name == "Z") return false;
    if (name != "SigPnd:" && name != "ShdPnd:" && name != "SigIgn:" && name != "SigCgt:") continue;
    std::uint64_t set = bit;
    if (!(status >> std::hex >> set) || (set & bit) != 0) return false;
    ++sets;
  }
  return sets == 4;
}

std::optional<int> read_signal(int fd) {
  signalfd_siginfo info{};
  ssize_t size = 0;
  do {
    size = ::read(fd, &info, sizeof info);
  } while (size < 0 && errno == EINTR);
  if (size != static_cast<ssize_t>(sizeof info)) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace pgforeman
