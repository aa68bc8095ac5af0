// Clients that mean no good, or are only slow: a probe is answered all the same.

#include <sys/resource.h>
#include <sys/socket.h>

#include <memory>
#include <random>
#include <vector>

#include "loopback.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

void allow_many_descriptors() {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 8192);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  REQUIRE(limit.rlim_cur >= 2200);
}

/// How long a fresh probe takes, from connecting to the whole answer.
Millis probe_time(Server& server) {
  const TimePoint start = Clock::now();
  Client probe(server.port());
  CHECK(ask(server, probe, kProbe).body == "ok");
  return std::chrono::ceil<Millis>(Clock::now() - start);
}

/// The best of a few: the machine's own noise is not the endpoint's.
Millis best_probe_time(Server& server) {
  Millis best{1'000'000};
  for (int i = 0; i < 5; ++i) best = std::min(best, probe_time(server));
  return best;
}

using Clients = std::vector<std::unique_ptr<Client>>;

Clients open_clients(Server& server, int count, std::string_view bytes) {
  Clients clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<Client>(server.port()));
    clients.back()->send(bytes);
    if (i % 64 == 63) server.io.poll();
  }
  server.io.poll();
  return clients;
}

std::size_t still_open(const Clients& clients) {
  std::size_t open = 0;
  for (const auto& client : clients) open += client->receive() ? 1u : 0u;
  return open;
}

}  // namespace

TEST_CASE("a request that comes byte by byte is answered", "[hostile]") {
  Server server;
  Client client(server.port());
  const std::string request = "GET /status HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const char c : request.substr(0, request.size() - 1)) {
    client.send(std::string_view(&c, 1));
    server.io.poll();
    client.receive();
    REQUIRE(client.received().empty());
  }
  CHECK(ask(server, client, "\n").body == render_status(sample_view()));
}

TEST_CASE("a flood of header is 431 and a flood of garbage is 400, both then closed", "[hostile]") {
  Server server;
  const auto refusal = [&](const std::string& bytes) {
    Client client(server.port());
    client.send(bytes);
    const Response response = ask(server, client, "");
    CHECK(response.field("Connection") == "close");
    client.end();
    CHECK(server.drive_until([&] { return !client.receive(); }));
    return response.status;
  };
  CHECK(refusal("GET / HTTP/1.1\r\nX: " + std::string(300'000, 'x')) == 431);
  std::string fields = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 20'000; ++i) fields += "Field-" + std::to_string(i) + ": value\r\n";
  CHECK(refusal(fields) == 431);
  CHECK(refusal(std::string(300'000, '\0')) == 400);
  CHECK(refusal("\x16\x03\x01" + std::string(500, '\x7f')) == 400);
  CHECK(get(server, "/livez").status == 200);
}

TEST_CASE("600 slow clients, and 1000, do not delay a probe", "[hostile]") {
  allow_many_descriptors();
  Server server;
  const int count = GENERATE(600, 1000);
  const char* bytes = GENERATE("", "GET /li", "GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
  INFO(count << " clients that sent '" << bytes << "'");
  const Clients clients = open_clients(server, count, bytes);
  CHECK(best_probe_time(server) < Millis{50});
  const std::size_t open = still_open(clients);
  CHECK(open <= 512);  // bounded: the oldest made room
  CHECK(open >= 400);
  CHECK_FALSE(clients.front()->receive());
  CHECK(clients.back()->receive());
}

TEST_CASE("a client that never reads its answers does not delay others", "[hostile]") {
  FleetView large = sample_view();
  large.slots.resize(1024, large.slots[0]);
  Server server([&] { return large; });
  Client deaf(server.port());
  const int small = 4096;
  ::setsockopt(deaf.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  for (int i = 0; i < 100; ++i) deaf.send("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
  server.io.poll();
  CHECK(best_probe_time(server) < Millis{50});
}

TEST_CASE("connections reset at any moment leak nothing", "[hostile]") {
  Server server;
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    Client client(server.port());
    client.send(kProbe.substr(0, random() % kProbe.size()));
    const linger reset{1, 0};
    ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (i % 2 == 0) server.io.poll_one();
  }
  CHECK(get(server, "/livez").status == 200);
}

TEST_CASE("after a second of random bytes the endpoint still answers", "[hostile]") {
  Server server;
  std::mt19937 random(99);
  const TimePoint end = Clock::now() + Millis{1000};
  while (Clock::now() < end) {
    Client client(server.port());
    const auto pieces = 1 + random() % 4;
    for (unsigned i = 0; i < pieces; ++i) {
      std::string bytes = random() % 2 == 0 ? kProbe : std::string(random() % 3000, '\0');
      for (char& c : bytes) {
        if (random() % 8 == 0) c = static_cast<char>(random() % 256);
      }
      client.send(bytes);
      server.io.poll();
      client.receive();
    }
    client.end();
    server.io.poll();
  }
  CHECK(get(server, "/livez").body == "ok");
}
