// No descriptor left in the process: the endpoint answers all the same, and does not spin.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <vector>

#include "loopback.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

const std::string kProbe = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Runs `body` in a child, so that this process keeps its limits; its return is the exit code.
int in_child(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(30);
    int code = 99;
    try {
      code = body();
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Takes every descriptor that is left.
std::vector<UniqueFd> take_all_descriptors() {
  std::vector<UniqueFd> taken;
  for (;;) {
    UniqueFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!fd) return taken;
    taken.push_back(std::move(fd));
  }
}

void limit_descriptors(rlim_t count) {
  const rlimit limit{count, count};
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

using Clients = std::vector<std::unique_ptr<Client>>;

/// Clients are connected in the kernel before the descriptors run out, then speak.
Clients connect_clients(const Server& server, int count) {
  Clients clients;
  for (int i = 0; i < count; ++i) clients.push_back(std::make_unique<Client>(server.port()));
  return clients;
}

bool answered(Server& server, Client& client) {
  Response response;
  server.drive_until(
      [&] {
        client.receive();
        return client.take(response) || client.closed();
      },
      Millis{3000});
  return response.status == 200 && response.body == "ok";
}

}  // namespace

TEST_CASE("with every descriptor taken, waiting probes are answered one after the other",
          "[exhaustion]") {
  const int code = in_child([] {
    limit_descriptors(256);
    Server server;
    Clients clients = connect_clients(server, 40);
    const auto taken = take_all_descriptors();
    for (std::size_t i = 0; i < clients.size(); ++i) {
      clients[i]->send(kProbe);
      if (!answered(server, *clients[i])) return static_cast<int>(i) + 1;
      clients[i].reset();
    }
    return 0;
  });
  CHECK(code == 0);
}

TEST_CASE("with every descriptor taken, silent clients make room for a probe", "[exhaustion]") {
  const int code = in_child([] {
    limit_descriptors(256);
    Server server;
    // More silent ones than the reserve holds, and the probe behind them all.
    Clients clients = connect_clients(server, 60);
    const auto taken = take_all_descriptors();
    clients.back()->send(kProbe);
    return answered(server, *clients.back()) ? 0 : 1;
  });
  CHECK(code == 0);
}

TEST_CASE("descriptors that run out do not make it spin", "[exhaustion]") {
  const int code = in_child([] {
    limit_descriptors(256);
    Server server;
    Clients clients = connect_clients(server, 30);
    const auto taken = take_all_descriptors();
    const std::uint64_t before = server.turns();
    const TimePoint end = Clock::now() + Millis{500};
    server.drive_until([&] { return Clock::now() > end; });
    // Thirty clients to accept or evict, and then nothing to do.
    return server.turns() - before < 200 ? 0 : 1;
  });
  CHECK(code == 0);
}

TEST_CASE("with no descriptor, no reserve and no connection to evict it waits, then serves",
          "[exhaustion]") {
  const int code = in_child([] {
    limit_descriptors(256);
    auto taken = std::make_unique<std::vector<UniqueFd>>(take_all_descriptors());
    // Just enough for the loop (epoll, event, timer), the listener and one client: the reserve
    // that the endpoint wants is not to be had.
    for (int i = 0; i < 5; ++i) taken->pop_back();
    Server server;
    auto client = std::make_unique<Client>(server.port());
    for (UniqueFd& fd : take_all_descriptors()) taken->push_back(std::move(fd));
    client->send(kProbe);
    const std::uint64_t before = server.turns();
    const TimePoint end = Clock::now() + Millis{500};
    server.drive_until([&] { return Clock::now() > end; });
    if (client->received().size() > 0) return 2;  // then this test proves nothing
    if (server.turns() - before > 100) return 3;
    taken.reset();
    return answered(server, *client) ? 0 : 4;
  });
  CHECK(code == 0);
}

TEST_CASE("after descriptors came back the reserve is whole again", "[exhaustion]") {
  const int code = in_child([] {
    limit_descriptors(256);
    Server server;
    for (int round = 0; round < 5; ++round) {
      Clients clients = connect_clients(server, 12);
      const auto taken = take_all_descriptors();
      for (std::size_t i = 0; i < clients.size(); ++i) {
        clients[i]->send(kProbe);
        if (!answered(server, *clients[i])) return round + 1;
      }
      clients.clear();
      server.drive_until([] { return false; }, Millis{20});
    }
    return 0;
  });
  CHECK(code == 0);
}
