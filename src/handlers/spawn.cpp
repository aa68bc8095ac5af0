#include "handlers/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "system/oom_score.h"
#include "system/origin.h"
#include "system/signals.h"

namespace pgforeman {
namespace {

/// Everything that the child needs, made before vfork. Between vfork and exec the child shares the
/// parent's memory and may call only async-signal-safe functions.
struct ChildPlan {
  const char* path = nullptr;
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  std::array<int, 3> streams{};  ///< become descriptors 0, 1 and 2; each is above 2 before that
  pid_t parent = 0;
  const HandlerOomScore* oom_score = nullptr;
  const char* volatile step = nullptr;  ///< the failed step; the parent reads it after the child
  volatile int error = 0;
};

[[noreturn]] void fail(ChildPlan& plan, const char* step) {
  plan.error = errno;
  plan.step = step;
  ::_exit(127);
}

[[noreturn]] void become_program(ChildPlan& plan) {
  // The parent need not call setpgid too: it is suspended until exec, so it never sees a child
  // without its group.
  if (::setpgid(0, 0) != 0) fail(plan, "setpgid");
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail(plan, "prctl(PR_SET_PDEATHSIG)");
  // If the parent was killed before prctl, no signal comes any more.
  if (::getppid() != plan.parent) ::_exit(127);
  // Signal handlers must be reset before the signals are unblocked, or one could run here, in the
  // parent's memory. Ignored signals must be reset, as they would stay ignored across exec.
  reset_signal_dispositions();
  take_fleet_mark();  // proves: P18 mark
  plan.oom_score->apply();
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(plan.streams[static_cast<std::size_t>(fd)], fd) < 0) fail(plan, "dup2");
  }
  // Closes a descriptor that a library opened without close-on-exec; pgforeman's own have it. So a
  // refusal by the kernel or a seccomp filter can be ignored.
  ::close_range(3, ~0U, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.path, plan.argv, plan.envp);
  fail(plan, "exec");
}

/// Starts the child. Not inlined: the child runs in this stack frame, and nothing uses it later.
__attribute__((noinline)) pid_t vfork_and_exec(ChildPlan& plan) {
  // fork would copy the consumer's page tables (1.65 ms instead of 0.65 ms), and posix_spawn cannot
  // set PDEATHSIG. The child makes only async-signal-safe calls, with data from the plan.
  const pid_t pid = ::vfork();         // NOLINT(clang-analyzer-security.insecureAPI.vfork)
  if (pid == 0) become_program(plan);  // NOLINT(clang-analyzer-unix.Vfork): ends in exec or _exit
  return pid;
}

struct Pipe {
  UniqueFd read, write;
};

Pipe make_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe2");
  }
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  // execve takes pointers to non-const for historical reasons; it does not write to the strings.
  for (const auto& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Spawned spawn(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
              std::string_view input) {
  if (argv.empty()) {
    throw std::system_error(EINVAL, std::generic_category(), "cannot start an empty command");
  }
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  Spawned spawned;
  spawned.in = std::move(in.write);
  spawned.out = std::move(out.read);
  spawned.err = std::move(err.read);
  ::fcntl(spawned.in.get(), F_SETFL, O_NONBLOCK);
  const ssize_t sent = ::write(spawned.in.get(), input.data(), input.size());
  spawned.input_sent = sent > 0 ? static_cast<std::size_t>(sent) : 0;

  const std::vector<char*> argv_pointers = pointers_to(argv);
  const std::vector<char*> env_pointers = pointers_to(environment);
  ChildPlan plan;
  plan.path = argv.front().c_str();
  plan.argv = argv_pointers.data();
  plan.envp = env_pointers.data();
  plan.streams = {in.read.get(), out.write.get(), err.write.get()};
  plan.parent = ::getpid();
  static const HandlerOomScore oom_score;  // static: this process's own score does not change
  plan.oom_score = &oom_score;
  // Signals are blocked, because no signal handler of the parent may run in the child.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  spawned.pid = vfork_and_exec(plan);
  if (spawned.pid < 0) {
    plan.error = errno;
    plan.step = "vfork";
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (plan.error != 0) {
    throw std::system_error(plan.error, std::generic_category(),
                            "cannot start '" + argv.front() + "': " + plan.step);
  }
  return spawned;
}

}  // namespace pgforeman
