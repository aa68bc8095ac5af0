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

/// Everything the child needs, made before vfork: between vfork and exec it shares the parent's
/// memory and may call only async-signal-safe functions.
struct ChildPlan {
  const char* path = nullptr;
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  std::array<int, 3> streams{};  ///< become 0, 1 and 2; all of them above 2
  pid_t parent = 0;
  const HandlerOomScore* oom_score = nullptr;
  const char* volatile step = nullptr;  ///< what failed; read by the parent after the child is gone
  volatile int error = 0;
};

[[noreturn]] void fail(ChildPlan& plan, const char* step) {
  plan.error = errno;
  plan.step = step;
  ::_exit(127);
}

[[noreturn]] void become_program(ChildPlan& plan) {
  // Done here alone: the parent is suspended until exec, so it never sees a child without its
  // group.
  if (::setpgid(0, 0) != 0) fail(plan, "setpgid");
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail(plan, "prctl(PR_SET_PDEATHSIG)");
  // The parent may have been killed before the line above; then no signal comes any more.
  if (::getppid() != plan.parent) ::_exit(127);
  // The parent's handlers must be gone before the mask is lifted, or one could run here, in the
  // parent's memory; and what the parent ignores would stay ignored across exec.
  reset_signal_dispositions();
  take_fleet_mark();  // proves: P18 mark
  plan.oom_score->apply();
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(plan.streams[static_cast<std::size_t>(fd)], fd) < 0) fail(plan, "dup2");
  }
  // Ours are all close-on-exec; this is for a library's that is not. Where the kernel or a seccomp
  // filter refuses it, nothing else is lost.
  ::close_range(3, ~0U, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.path, plan.argv, plan.envp);
  fail(plan, "exec");
}

/// In its own frame, which nothing uses after the child has run in it.
__attribute__((noinline)) pid_t vfork_and_exec(ChildPlan& plan) {
  // fork would copy the consumer's page tables (1.65 ms against 0.65), and posix_spawn cannot arm
  // PDEATHSIG. The child does nothing but async-signal-safe calls on a plan made before.
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
  // execve takes pointers to non-const for C's sake; it does not write.
  for (const auto& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Spawned spawn(const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
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

  const std::vector<char*> argv_pointers = pointers_to(argv);
  const std::vector<char*> env_pointers = pointers_to(environment);
  ChildPlan plan;
  plan.path = argv.front().c_str();
  plan.argv = argv_pointers.data();
  plan.envp = env_pointers.data();
  plan.streams = {in.read.get(), out.write.get(), err.write.get()};
  plan.parent = ::getpid();
  static const HandlerOomScore oom_score;  // this process's own does not change
  plan.oom_score = &oom_score;
  // No handler of the parent may run in the child.
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
