#include "handlers/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <system_error>

#include "handlers/consumer_loop.h"
#include "support/catch.h"
#include "system/origin.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

/// All it prints, to the end.
std::string output_of(Spawned& spawned) {
  spawned.in.reset();
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    pollfd ready{spawned.out.get(), POLLIN, 0};
    if (::poll(&ready, 1, 20000) != 1) break;
    const ssize_t n = ::read(spawned.out.get(), buffer.data(), buffer.size());
    if (n <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  int status = 0;
  REQUIRE(::waitpid(spawned.pid, &status, 0) == spawned.pid);
  return text;
}

int error_of_spawning(const std::vector<std::string>& argv) {
  int code = 0;
  try {
    (void)spawn(argv, {});
  } catch (const std::system_error& error) {
    CHECK_THAT(error.what(), contains("exec") && contains(argv.front()));
    code = error.code().value();
    int status = 0;
    CHECK(::waitpid(-1, &status, 0) > 0);
  }
  return code;
}

}  // namespace

TEST_CASE("the program gets exactly the environment it is given", "[spawn]") {
  Spawned spawned = spawn({"/usr/bin/env"}, {"A=1", "B=two words", "EMPTY="});
  CHECK(output_of(spawned) == "A=1\nB=two words\nEMPTY=\n");
}

TEST_CASE("the program's input is in its stdin before it starts", "[spawn]") {
  // As when a consumer is killed right after the start: output_of() closes the pipe at once.
  for (const std::size_t size : {std::size_t{1}, std::size_t{4097}, std::size_t{65536}}) {
    const std::string input(size, 'x');
    Spawned spawned = spawn({"/bin/cat"}, {}, input);
    CHECK(spawned.input_sent == size);
    CHECK(output_of(spawned) == input);
  }
  const std::string more(1'000'000, 'x');
  Spawned spawned = spawn({"/bin/cat"}, {}, more);
  CHECK(spawned.input_sent >= 65536);
  CHECK(spawned.input_sent < more.size());
  CHECK(output_of(spawned) == more.substr(0, spawned.input_sent));
}

TEST_CASE("the program gets exactly the arguments it is given", "[spawn]") {
  Spawned spawned = spawn({"/bin/sh", "-c", R"(printf '<%s>' "$@")", "sh", "a b", "", "c'd"}, {});
  CHECK(output_of(spawned) == "<a b><><c'd>");
}

TEST_CASE("no descriptor but the three streams reaches the program", "[spawn]") {
  // One that is not close-on-exec, as a library might leave it.
  const UniqueFd leak(::open("/dev/null", O_RDONLY));  // NOLINT(android-cloexec-open)
  REQUIRE(leak);
  Spawned spawned = spawn(
      shell("for f in /proc/$$/fd/*; do if [ -e \"$f\" ] || [ -h \"$f\" ]; then echo ${f##*/}; fi; "
            "done"),
      path_only());
  CHECK(output_of(spawned) == "0\n1\n2\n");
}

TEST_CASE("the program has default dispositions and no blocked signal", "[spawn]") {
  // No shell: some clear the mask themselves.
  const ConsumerLoop loop;  // SIGPIPE ignored, SIGCHLD and SIGTERM blocked
  struct sigaction before {};
  struct sigaction action {};
  action.sa_handler = [](int) {};
  ::sigaction(SIGCONT, &action, &before);
  Spawned spawned = spawn({"/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"}, {});
  const std::string text = output_of(spawned);
  ::sigaction(SIGCONT, &before, nullptr);
  CHECK(text == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_CASE("the parent's mask and dispositions are as before", "[spawn]") {
  sigset_t before;
  sigset_t after;
  ::sigprocmask(SIG_BLOCK, nullptr, &before);
  Spawned spawned = spawn({"/bin/true"}, {});
  output_of(spawned);
  ::sigprocmask(SIG_BLOCK, nullptr, &after);
  for (int signal = 1; signal < NSIG; ++signal) {
    CHECK(::sigismember(&before, signal) == ::sigismember(&after, signal));
  }
}

TEST_CASE("the program leads its own process group", "[spawn]") {
  Spawned spawned = spawn(shell("read x"), {});
  CHECK(::getpgid(spawned.pid) == spawned.pid);
  output_of(spawned);
}

TEST_CASE("the kernel ends the program for memory before its caller", "[spawn]") {
  std::ifstream own("/proc/self/oom_score_adj");
  int ours = 0;
  REQUIRE(own >> ours);
  Spawned spawned = spawn({"/bin/cat", "/proc/self/oom_score_adj"}, {});
  CHECK(std::stoi(output_of(spawned)) == std::min(ours + 100, 1000));
}

TEST_CASE("descendants have the fleet's mark, also as a daemon without an environment", "[spawn]") {
  const ConsumerLoop adopts;  // the daemon comes to us
  set_fleet_mark(0x1234567890abcdef);
  Spawned spawned =
      spawn(shell("setsid sh -c 'env -i /bin/sleep 1000 <&- >&- 2>&- & echo $!'"), path_only());
  const pid_t daemon = std::stoi(output_of(spawned));
  CHECK(eventually(
      [&] { return read_file("/proc/" + std::to_string(daemon) + "/comm") == "sleep\n"; }));
  CHECK(has_fleet_mark(daemon));
  CHECK_FALSE(has_fleet_variable(daemon));
  CHECK_FALSE(has_fleet_mark(::getpid()));
  Spawned named = spawn(shell("read x"), {fleet_variable()});
  CHECK(eventually([&] { return has_fleet_variable(named.pid); }));
  set_fleet_mark(0x2234567890abcdef);
  CHECK_FALSE(has_fleet_mark(daemon));  // of another fleet
  CHECK_FALSE(has_fleet_variable(named.pid));
  output_of(named);
  ::kill(daemon, SIGKILL);
}

TEST_CASE("the program's streams block, and it has none of the caller's ends", "[spawn]") {
  Spawned spawned =
      spawn(shell("for f in 0 1 2; do grep flags /proc/$$/fdinfo/$f; done"), path_only());
  for (const int fd : {spawned.in.get(), spawned.out.get(), spawned.err.get()}) {
    REQUIRE(::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);  // as a loop does
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  const std::string text = output_of(spawned);
  CHECK(text == "flags:\t00\nflags:\t01\nflags:\t01\n");
}

TEST_CASE("a program that cannot be executed is an error with the reason", "[spawn]") {
  CHECK(error_of_spawning({"/no/such/program"}) == ENOENT);
  CHECK(error_of_spawning({"/etc/passwd"}) == EACCES);
  CHECK(error_of_spawning({"/"}) == EACCES);
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 20; ++i) error_of_spawning({"/no/such/program"});
  CHECK(open_descriptors() == before);
}

TEST_CASE("a variable larger than the kernel takes fails with E2BIG", "[spawn]") {
  int code = 0;
  try {
    (void)spawn({"/bin/true"}, {"BIG=" + std::string(200000, 'x')});
  } catch (const std::system_error& error) {
    code = error.code().value();
    int status = 0;
    ::waitpid(-1, &status, 0);
  }
  CHECK(code == E2BIG);
}
