#include "system/child_exit.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace pgforeman {
namespace {

// Bounds the last clean-up: a descendant may fork as fast as it is killed, or hang in the kernel.
// It is not repeated, since the caller itself is about to end.
constexpr Millis kLastCleanup{500};

/// Returns the decimal pid `text`, or 0 for any other text. Async-signal-safe.
pid_t parse_pid(const char* text) {
  pid_t pid = 0;
  if (*text == '\0') return 0;
  for (; *text != '\0'; ++text) {
    if (*text < '0' || *text > '9') return 0;
    pid = pid * 10 + (*text - '0');
  }
  return pid;
}

/// Returns the parent of a process from /proc; 0 if the process is gone. Async-signal-safe.
pid_t parent_of(const char* pid_name) {
  std::array<char, 64> path{};
  std::size_t n = 0;
  for (const char* p = "/proc/"; *p != '\0'; ++p) path[n++] = *p;
  for (const char* p = pid_name; *p != '\0' && n < 40; ++p) path[n++] = *p;
  for (const char* p = "/stat"; *p != '\0'; ++p) path[n++] = *p;
  const int fd = ::open(path.data(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  std::array<char, 512> text{};
  const ssize_t size = ::read(fd, text.data(), text.size() - 1);
  ::close(fd);
  if (size <= 0) return 0;
  // "pid (comm) state ppid ...": comm may contain ") ", so the last ')' in the text ends it.
  const char* close_paren = ::strrchr(text.data(), ')');
  if (close_paren == nullptr || close_paren + 4 > text.data() + size) return 0;
  pid_t ppid = 0;
  for (const char* p = close_paren + 4; *p >= '0' && *p <= '9'; ++p) ppid = ppid * 10 + (*p - '0');
  return ppid;
}

/// True if `pid` is this process's child. /proc alone cannot be trusted: it may be that of another
/// pid namespace, or hide processes.
bool is_child(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/// The kernel's list of the children of this process's only thread, or -1. It stays open, because a
/// process without a free descriptor must find its children too.
int child_list = -1;

/// Visits each pid of the list. Returns false if the list cannot be read.
template <typename Visit>
bool for_each_listed(Visit visit) {
  if (child_list < 0 || ::lseek(child_list, 0, SEEK_SET) != 0) return false;
  std::array<char, 4096> buffer;
  ssize_t size = 0;
  pid_t pid = 0;
  while ((size = ::read(child_list, buffer.data(), buffer.size())) > 0) {
    for (ssize_t i = 0; i < size; ++i) {
      const char c = buffer[static_cast<std::size_t>(i)];
      if (c >= '0' && c <= '9') {
        pid = pid * 10 + (c - '0');
      } else if (pid > 0) {
        visit(pid);
        pid = 0;
      }
    }
  }
  return size == 0;
}

/// Visits every process, with its name in /proc. Async-signal-safe: uses getdents64 and a buffer on
/// the stack, because opendir allocates memory.
template <typename Visit>
void for_each_process(Visit visit) {
  const int dir = ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return;
  alignas(8) std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t size = ::getdents64(dir, buffer.data(), buffer.size());
    if (size <= 0) break;
    for (ssize_t at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      at += entry->d_reclen;
      const pid_t pid = parse_pid(entry->d_name);
      if (pid > 0) visit(pid, entry->d_name);
    }
  }
  ::close(dir);
}

/// Visits every child, also ended ones. Async-signal-safe.
template <typename Visit>
void for_each_child(Visit visit) {
  const auto checked = [&](pid_t pid) {
    if (is_child(pid)) visit(pid);
  };
  // The kernel's list needs one small read. A child leaves it only when this process reaps it, so
  // none is missed. Without the list all processes in /proc are scanned, some microseconds each.
  if (for_each_listed(checked)) return;
  const pid_t self = ::getpid();
  for_each_process([&](pid_t pid, const char* name) {
    if (parent_of(name) == self) checked(pid);
  });
}

/// Kills first the group that `pid` leads, as `pid` may have forked, then `pid`; never the caller's
/// own group. Returns false if the kill failed, for example as `pid` became another user's.
bool kill_with_group(pid_t pid) {
  const pid_t group = ::getpgid(pid);
  if (group > 0 && group == pid && group != ::getpgrp()) ::kill(-group, SIGKILL);
  return ::kill(pid, SIGKILL) == 0;
}

/// Waits a little for killed processes to end: yields the CPU in the first 16 rounds, then sleeps.
void let_them_die(int round) {
  if (round < 16) {
    ::sched_yield();
  } else {
    ::poll(nullptr, 0, 1);
  }
}

std::string signal_name(int signal) {
  const char* abbreviation = ::sigabbrev_np(signal);
  return abbreviation != nullptr ? std::string("SIG") + abbreviation
                                 : "signal " + std::to_string(signal);
}

}  // namespace

std::string ChildExit::explain() const {
  if (signal == 0) return "exited with code " + std::to_string(exit_code);
  return "killed by " + signal_name(signal) +
         (core_dumped     ? " (core dumped)"
          : out_of_memory ? " (out of memory)"
                          : "");
}

std::optional<ChildExit> reap_one() {
  int status = 0;
  struct rusage usage {};
  pid_t pid = 0;
  do {
    pid = ::wait4(-1, &status, WNOHANG, &usage);
  } while (pid < 0 && errno == EINTR);
  if (pid <= 0) return std::nullopt;
  ChildExit exit;
  exit.pid = pid;
  exit.peak_rss_kib = usage.ru_maxrss;
  if (WIFSIGNALED(status)) {
    exit.signal = WTERMSIG(status);
    exit.core_dumped = WCOREDUMP(status);
  } else {
    exit.exit_code = WEXITSTATUS(status);
  }
  return exit;
}

bool has_children() {
  siginfo_t info{};
  const int rc = ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
  return rc == 0 || errno != ECHILD;
}

void open_child_list() {
  child_list = ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
}

std::vector<pid_t> children_now() {
  std::vector<pid_t> children;
  for_each_child([&](pid_t pid) { children.push_back(pid); });
  return children;
}

CleanUp kill_children(const std::function<bool(pid_t)>& chosen, Millis patience) {
  CleanUp result;
  const TimePoint give_up = Clock::now() + patience;
  for (int round = 0; has_children(); ++round) {
    result.left = false;
    for_each_child([&](pid_t pid) {
      if (!chosen(pid)) return;
      if (kill_with_group(pid)) {
        result.left = true;
      } else if (errno == EPERM) {
        result.refused = true;
      }
    });
    while (auto exit = reap_one()) result.exits.push_back(*exit);
    if (!result.left || Clock::now() >= give_up) return result;
    let_them_die(round);
  }
  result.left = false;
  return result;
}

std::vector<ChildExit> kill_orphans(std::span<const pid_t> keep) {
  return kill_children(
             [&](pid_t pid) { return std::find(keep.begin(), keep.end(), pid) == keep.end(); },
             kCleanUpPatience)
      .exits;
}

bool has_ended(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid;
}

void kill_all_children_from_signal_handler() noexcept {
  const TimePoint give_up = Clock::now() + kLastCleanup;
  for (int round = 0;; ++round) {
    bool found = false;
    for_each_child([&](pid_t pid) { found = kill_with_group(pid) || found; });
    if (!found) return;
    int status = 0;
    while (::waitpid(-1, &status, WNOHANG) > 0) {
    }
    if (Clock::now() >= give_up) return;
    let_them_die(round);
  }
}

void kill_processes_from_signal_handler(bool (*chosen)(pid_t)) noexcept {
  const pid_t self = ::getpid();
  const TimePoint give_up = Clock::now() + kLastCleanup;
  for (int round = 0;; ++round) {
    bool found = false;
    for_each_process([&](pid_t pid, const char*) {
      if (pid != self && chosen(pid)) found = ::kill(pid, SIGKILL) == 0 || found;
    });
    if (!found || Clock::now() >= give_up) return;
    let_them_die(round);
  }
}

}  // namespace pgforeman
