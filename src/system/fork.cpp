#include "system/fork.h"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <vector>

#include "system/child_exit.h"
#include "system/origin.h"
#include "system/signals.h"

namespace pgforeman {
namespace {

// Written in the child before the signal handler is set; only the signal handler reads them.
volatile pid_t parent_pid = 0;
volatile bool ends_fleet = false;

/// Ends a child with a dead parent. PDEATHSIG is SIGCONT, so that it also wakes a stopped child.
/// Any other SIGCONT does nothing. getppid() == 1 proves nothing: the parent may be PID 1.
void on_parent_death(int) {
  const int saved = errno;
  if (::getppid() != parent_pid) {
    kill_all_children_from_signal_handler();
    if (ends_fleet) kill_marked_processes();  // proves: P18 fleet
    ::_exit(EXIT_SUCCESS);
  }
  errno = saved;
}

void close_range_portable(unsigned first, unsigned last) {
  if (first > last) return;
  if (::close_range(first, last, 0) == 0) return;
  // Old kernels and some seccomp profiles refuse close_range: use the descriptor list.
  DIR* dir = ::opendir("/proc/self/fd");
  if (dir == nullptr) return;
  const int own = ::dirfd(dir);
  std::vector<int> open;
  while (const dirent* entry = ::readdir(dir)) {  // NOLINT(concurrency-mt-unsafe): one thread
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == own) continue;
    if (static_cast<unsigned>(fd) >= first && static_cast<unsigned>(fd) <= last) open.push_back(fd);
  }
  ::closedir(dir);
  for (const int fd : open) ::close(fd);
}

void close_all_but(std::span<const int> keep) {
  std::vector<int> kept(keep.begin(), keep.end());
  std::sort(kept.begin(), kept.end());
  unsigned next = STDERR_FILENO + 1;
  for (const int fd : kept) {
    if (fd < static_cast<int>(next)) continue;
    close_range_portable(next, static_cast<unsigned>(fd) - 1);
    next = static_cast<unsigned>(fd) + 1;
  }
  close_range_portable(next, UINT_MAX);
}

void arm_parent_death(pid_t parent) {
  parent_pid = parent;
  struct sigaction action {};
  action.sa_handler = on_parent_death;
  action.sa_flags = SA_RESTART;
  ::sigfillset(&action.sa_mask);
  ::sigaction(SIGCONT, &action, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGCONT);  // proves: P11
  // The parent may have died before prctl.
  if (::getppid() != parent) ::_exit(EXIT_SUCCESS);
}

}  // namespace

void end_fleet_with_parent() noexcept {
  ends_fleet = true;
}

pid_t fork_child(ChildMain main, void* context, std::span<const int> keep,
                 std::span<const int> still_blocked) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  // The child gets its own session, so a signal such as SIGKILL to the supervisor's process group
  // does not end it before it can clean up. Its handlers have no terminal that could stop them, and
  // the session's id tells from which child they descend.
  ::setsid();  // proves: P18 session
  reset_signal_dispositions();
  // A consumer must survive a handler that closes its stdin early (SIGPIPE). A child must survive a
  // log file or a CPU time over its limit (SIGXFSZ, SIGXCPU).
  for (const int number : {SIGPIPE, SIGXFSZ, SIGXCPU}) {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(number, &ignore, nullptr);
  }
  close_all_but(keep);  // proves: P8
  open_child_list();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  arm_parent_death(parent);
  sigset_t mask;
  ::sigemptyset(&mask);
  for (const int number : still_blocked) ::sigaddset(&mask, number);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  main(context);
  ::_exit(EXIT_FAILURE);
}

}  // namespace pgforeman
