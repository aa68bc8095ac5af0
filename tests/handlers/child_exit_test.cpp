#include "system/child_exit.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "handlers/consumer_loop.h"
#include "support/catch.h"
#include "system/fork.h"
#include "system/signals.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

/// A child that runs `body` and exits with what it returns.
template <typename Body>
pid_t fork_child(Body body) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) ::_exit(body());
  return pid;
}

int wait_for_signals() {
  for (;;) ::pause();
}

pid_t shell_child(const std::string& script) {
  return fork_child([&] {
    ::execl("/bin/sh", "sh", "-c", script.c_str(), static_cast<char*>(nullptr));
    return 127;
  });
}

ChildExit wait_for_exit() {
  std::optional<ChildExit> exit;
  REQUIRE(eventually([&] { return (exit = reap_one()).has_value(); }));
  return *exit;
}

}  // namespace

TEST_CASE("an exit is explained by its code or signal", "[child_exit]") {
  pid_t pid = fork_child([] { return 3; });
  ChildExit exit = wait_for_exit();
  CHECK(exit.pid == pid);
  CHECK(exit.signal == 0);
  CHECK(exit.exit_code == 3);
  CHECK(exit.explain() == "exited with code 3");
  CHECK(exit.peak_rss_kib > 0);

  pid = fork_child(wait_for_signals);
  ::kill(pid, SIGUSR1);
  exit = wait_for_exit();
  CHECK(exit.pid == pid);
  CHECK(exit.signal == SIGUSR1);
  CHECK(exit.explain() == "killed by SIGUSR1");
}

TEST_CASE("an exit by a real-time signal is explained by its number", "[child_exit]") {
  ChildExit exit;
  exit.signal = SIGRTMIN + 3;
  CHECK(exit.explain() == "killed by signal " + std::to_string(SIGRTMIN + 3));
}

TEST_CASE("a process without children lists none", "[child_exit]") {
  CHECK_FALSE(has_children());
  CHECK_FALSE(reap_one());
  const pid_t pid = fork_child(wait_for_signals);
  CHECK(has_children());
  CHECK_FALSE(reap_one());
  ::kill(pid, SIGKILL);
  wait_for_exit();
  CHECK_FALSE(has_children());
}

TEST_CASE("orphans are killed with their descendants, kept children live", "[child_exit]") {
  const ConsumerLoop subreaper;
  const std::string pids = fresh_path("pids");
  const pid_t kept = fork_child(wait_for_signals);
  // One in its own session, one orphaned by a double fork, one that ignores TERM.
  const pid_t stranger =
      shell_child("setsid sh -c 'echo $$ >>" + pids +
                  "; tail -f /dev/null 3>&1 >/dev/null' & (sh -c 'echo $$ >>" + pids +
                  "; exec tail -f /dev/null 3>&1 >/dev/null' &) ; trap '' TERM; echo $$ >>" + pids +
                  "; exec tail -f /dev/null 3>&1 >/dev/null");
  REQUIRE(eventually([&] {
    const std::string text = read_file(pids);
    return std::count(text.begin(), text.end(), '\n') == 3;
  }));
  REQUIRE(is_alive(stranger));

  const std::vector<pid_t> keep = {kept};
  // One clean-up is bounded in time: on a busy machine it may take two.
  CHECK(eventually([&] {
    for (const auto& exit : kill_orphans(keep)) CHECK(exit.pid != kept);
    std::istringstream lines(read_file(pids));
    bool all_gone = true;
    for (pid_t pid = 0; lines >> pid;) all_gone = all_gone && !is_alive(pid);
    return all_gone;
  }));

  CHECK(is_alive(kept));
  ::kill(kept, SIGKILL);
  CHECK(eventually([] {
    while (reap_one()) {
    }
    return !has_children();
  }));
}

TEST_CASE("a kept child that ends meanwhile is reported", "[child_exit]") {
  const ConsumerLoop subreaper;
  const pid_t kept = fork_child([] { return 5; });
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(kept), &info, WEXITED | WNOWAIT) == 0);
  const pid_t stranger = fork_child(wait_for_signals);
  const std::vector<pid_t> keep = {kept};
  // One clean-up is bounded in time: on a busy machine it may take two.
  std::vector<ChildExit> exits;
  REQUIRE(eventually([&] {
    for (const auto& exit : kill_orphans(keep)) exits.push_back(exit);
    return exits.size() == 2;
  }));
  if (exits[0].pid != kept) std::swap(exits[0], exits[1]);
  CHECK(exits[0].pid == kept);
  CHECK(exits[0].exit_code == 5);
  CHECK(exits[1].pid == stranger);
  CHECK(exits[1].signal == SIGKILL);
}

TEST_CASE("orphans in the caller's own process group are killed one by one", "[child_exit]") {
  // fork leaves them in this test's group: a kill of the group would end the test.
  fork_child(wait_for_signals);
  fork_child(wait_for_signals);
  CHECK(eventually([] {
    kill_orphans({});
    return !has_children();
  }));
}

TEST_CASE("orphans that fork while they are killed leave no process", "[child_exit]") {
  const ConsumerLoop subreaper;
  for (int i = 0; i < 25; ++i) {
    fork_child([] {
      for (int n = 0; n < 4; ++n) {
        if (::fork() == 0) ::setsid();
      }
      return wait_for_signals();
    });
  }
  CHECK(eventually([] {
    kill_orphans({});
    return !has_children();
  }));
}

TEST_CASE("the parent-death clean-up leaves no descendant", "[child_exit]") {
  const ConsumerLoop subreaper;
  const std::string pids = fresh_path("pids");
  const pid_t middle = fork_child([&] {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct sigaction action {};
    action.sa_handler = [](int) {
      kill_all_children_from_signal_handler();
      ::_exit(0);
    };
    ::sigaction(SIGCONT, &action, nullptr);
    if (::fork() == 0) {
      const std::string script = "setsid sh -c 'echo $$ >>" + pids +
                                 "; exec tail -f /dev/null 3>&1 >/dev/null' & echo $$ >>" + pids +
                                 "; exec tail -f /dev/null 3>&1 >/dev/null";
      ::execl("/bin/sh", "sh", "-c", script.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    return wait_for_signals();
  });
  REQUIRE(eventually([&] {
    const std::string text = read_file(pids);
    return std::count(text.begin(), text.end(), '\n') == 2;
  }));
  ::kill(middle, SIGCONT);
  CHECK(wait_for_exit().pid == middle);
  std::istringstream lines(read_file(pids));
  for (pid_t pid = 0; lines >> pid;) CHECK_FALSE(is_alive(pid));
}

TEST_CASE("a process without a free descriptor still finds and ends its orphans", "[child_exit]") {
  const pid_t pid = fork_child([] {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    open_child_list();
    const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(next);
    const rlimit none{static_cast<rlim_t>(next), static_cast<rlim_t>(next)};
    if (::setrlimit(RLIMIT_NOFILE, &none) != 0 || ::open("/dev/null", O_RDONLY) >= 0) return 1;
    const pid_t stranger = ::fork();
    if (stranger == 0) ::_exit(wait_for_signals());
    const auto exits = kill_orphans({});
    return exits.size() == 1 && exits[0].pid == stranger && exits[0].signal == SIGKILL ? 0 : 2;
  });
  const ChildExit exit = wait_for_exit();
  CHECK(exit.pid == pid);
  CHECK(exit.exit_code == 0);
}

TEST_CASE("a child of the fleet has no controlling terminal", "[child_exit]") {
  int terminal = -1;
  const pid_t leader = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (leader < 0 && ::access("/dev/pts/ptmx", F_OK) != 0) {
    WARN("no pseudo-terminals are mounted here: /dev/pts is missing");
    return;
  }
  REQUIRE(leader >= 0);
  if (leader == 0) {
    if (::open("/dev/tty", O_RDWR) < 0) ::_exit(3);  // the leader has one
    block_all_signals();
    const auto main = [](void*) noexcept {
      const bool none = ::open("/dev/tty", O_RDWR) < 0 && errno == ENXIO;
      const bool own = ::getsid(0) == ::getpid() && ::getpgrp() == ::getpid();
      ::_exit(none && own ? 0 : 4);
    };
    const pid_t child = pgforeman::fork_child(main, nullptr, {}, {});
    int status = 0;
    ::waitpid(child, &status, 0);
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 5);
  }
  CHECK(wait_for_exit().exit_code == 0);
  ::close(terminal);
}
