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

/// Connected in the kernel, and what they say is there, before the server accepts.
Clients connect_clients(const Server& server, int count, std::string_view bytes = {}) {
  Clients clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<Client>(server.port()));
    clients.back()->send(bytes);
  }
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

TEST_CASE("with every descriptor taken, every waiting probe is answered", "[exhaustion]") {
  const int code = in_child([] {
    limit_descriptors(256);
    Server server;
    const Clients clients = connect_clients(server, 40, kProbe);
    const auto taken = take_all_descriptors();
    for (std::size_t i = 0; i < clients.size(); ++i) {
      if (!answered(server, *clients[i])) return static_cast<int>(i) + 1;
    }
    return 0;
  });
  CHECK(code == 0);
}

TEST_CASE("with every descriptor taken a silent client is evicted for a probe", "[exhaustion]") {
  const int code = in_child([] {
    limit_descriptors(256);
    Server server;
    // More silent ones than the reserve holds, and the probe after them all.
    Clients clients = connect_clients(server, 60);
    const auto taken = take_all_descriptors();
    clients.back()->send(kProbe);
    return answered(server, *clients.back()) ? 0 : 1;
  });
  CHECK(code == 0);
}

TEST_CASE("with every descriptor taken only as many connections are evicted as are needed",
          "[exhaustion]") {
  const int code = in_child([] {
    limit_descriptors(256);
    Server server;
    // As many as the reserve holds, and one more.
    const Clients clients = connect_clients(server, 9);
    const auto taken = take_all_descriptors();
    for (const auto& client : clients) {
      client->send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
      if (!answered(server, *client)) return 1;
    }
    int open = 0;
    for (const auto& client : clients) open += client->receive() ? 1 : 0;
    return open == 8 ? 0 : 100 + open;
  });
  CHECK(code == 0);
}

TEST_CASE("a server without descriptors does not spin", "[exhaustion]") {
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

TEST_CASE("without descriptor, reserve or connection to evict the server waits, then serves",
          "[exhaustion]") {
  const int code = in_child([] {
    limit_descriptors(256);
    auto taken = std::make_unique<std::vector<UniqueFd>>(take_all_descriptors());
    // Just enough for the loop (epoll, event, timer) and the listener: the reserve that the
    // endpoint wants is not to be had.
    for (int i = 0; i < 4; ++i) taken->pop_back();
    Server server;
    taken->pop_back();
    auto client = std::make_unique<Client>(server.port());
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

TEST_CASE("the reserve is filled again when descriptors are free", "[exhaustion]") {
  const int code = in_child([] {
    limit_descriptors(256);
    Server server;
    for (int round = 0; round < 5; ++round) {
      Clients clients = connect_clients(server, 12, kProbe);
      {
        const auto taken = take_all_descriptors();
        for (const auto& client : clients) {
          if (!answered(server, *client)) return round + 1;
        }
      }
      // One more connection's end, now that there are descriptors to refill from.
      clients.clear();
      Client last(server.port());
      last.send(kProbe);
      if (!answered(server, last)) return 50 + round;
    }
    return 0;
  });
  CHECK(code == 0);
}
