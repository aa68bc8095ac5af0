// What the endpoint answers, over real sockets.

#include "supervisor/endpoint.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <system_error>

#include "loopback.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;

TEST_CASE("livez and readyz answer ok, or 503 with the reason", "[endpoint]") {
  FleetView view = sample_view();
  Server server([&] { return view; });

  CHECK(get(server, "/livez").status == 200);
  CHECK(get(server, "/livez").body == "ok");
  CHECK(get(server, "/readyz").status == 200);

  view.ready = false;
  view.not_ready_reason = "no consumer is connected";
  CHECK(get(server, "/livez").status == 200);
  CHECK(get(server, "/readyz").status == 503);
  CHECK(get(server, "/readyz").body == "no consumer is connected");

  view.live = false;
  view.not_live_reason = "every slot is crash-looping";
  const Response dead = get(server, "/livez");
  CHECK(dead.status == 503);
  CHECK(dead.body == "every slot is crash-looping");
  CHECK(dead.field("Content-Type") == "text/plain; charset=utf-8");
}

TEST_CASE("status is JSON and metrics is Prometheus text", "[endpoint]") {
  Server server;
  const Response status = get(server, "/status");
  CHECK(status.status == 200);
  CHECK(status.field("Content-Type") == "application/json");
  CHECK(status.body == render_status(sample_view()));
  const Response metrics = get(server, "/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metrics.body == render_metrics(sample_view()));
}

TEST_CASE("a query string and a proxy's absolute form change nothing about the route",
          "[endpoint]") {
  Server server;
  CHECK(get(server, "/livez?verbose=1").body == "ok");
  CHECK(get(server, "/livez?").body == "ok");
  CHECK(get(server, "http://fleet:8080/livez?x").body == "ok");
  CHECK(get(server, "http://fleet:8080").status == 404);
}

TEST_CASE("other paths are 404", "[endpoint]") {
  Server server;
  for (const char* path : {"/", "/livez/", "/LIVEZ", "/status/x", "//livez", "/..%2flivez", "*"}) {
    INFO(path);
    CHECK(get(server, path).status == 404);
  }
}

TEST_CASE("other methods are 405 and say what is allowed", "[endpoint]") {
  Server server;
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "BREW"}) {
    INFO(method);
    Client client(server.port());
    const Response response =
        ask(server, client, std::string(method) + " /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(response.status == 405);
    CHECK(response.field("Allow") == "GET, HEAD");
  }
}

TEST_CASE("HEAD gets the headers of GET without the body and keeps the connection", "[endpoint]") {
  Server server;
  Client client(server.port());
  for (const char* path : {"/livez", "/readyz", "/status", "/metrics", "/nowhere"}) {
    INFO(path);
    const std::string rest = std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n";
    const Response head = ask(server, client, "HEAD " + rest, true);
    CHECK(client.received().empty());
    const Response body = ask(server, client, "GET " + rest);
    CHECK(head.status == body.status);
    CHECK(head.field("Content-Length") == std::to_string(body.body.size()));
    CHECK(head.field("Content-Type") == body.field("Content-Type"));
  }
}

TEST_CASE("a connection is kept by HTTP/1.1 and closed when asked", "[endpoint]") {
  Server server;
  Client client(server.port());
  for (int i = 0; i < 20; ++i) {
    CHECK(ask(server, client, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").body == "ok");
  }
  const Response last =
      ask(server, client, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(last.field("Connection") == "close");
  CHECK(server.drive_until([&] { return !client.receive(); }));
}

TEST_CASE("HTTP/1.0 closes after the answer unless it asks to be kept", "[endpoint]") {
  Server server;
  Client plain(server.port());
  CHECK(ask(server, plain, "GET /livez HTTP/1.0\r\n\r\n").body == "ok");
  CHECK(server.drive_until([&] { return !plain.receive(); }));

  Client kept(server.port());
  const Response first = ask(server, kept, "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(first.field("Connection") == "keep-alive");
  CHECK(ask(server, kept, "GET /readyz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").status == 200);
}

TEST_CASE("pipelined requests are answered in order, however they are cut", "[endpoint]") {
  Server server;
  Client client(server.port());
  std::string requests;
  for (int i = 0; i < 60; ++i) {
    requests += i % 3 == 0   ? "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
                : i % 3 == 1 ? "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
                             : "GET /status HTTP/1.1\r\nHost: x\r\n\r\n";
  }
  client.send(requests);
  client.end();  // what was sent before the end is still answered
  std::vector<int> statuses;
  std::vector<std::string> bodies;
  REQUIRE(server.drive_until([&] {
    client.receive();
    Response response;
    while (client.take(response)) {
      statuses.push_back(response.status);
      bodies.push_back(response.body);
    }
    return client.closed();
  }));
  REQUIRE(statuses.size() == 60);
  for (std::size_t i = 0; i < 60; ++i) CHECK(statuses[i] == (i % 3 == 1 ? 404 : 200));
  CHECK(bodies[0] == "ok");
  CHECK(bodies[2] == render_status(sample_view()));
  CHECK(bodies[59] == bodies[2]);
}

TEST_CASE("a request with a body is refused without losing the refusal", "[endpoint]") {
  Server server;
  const std::string body(200'000, 'b');
  for (const std::string header : {"Content-Length: 200000\r\n", "Transfer-Encoding: chunked\r\n",
                                   "Content-Length: 200000\r\nExpect: 100-continue\r\n"}) {
    for (const std::string method : {"GET", "POST"}) {
      INFO(method << " " << header);
      Client client(server.port());
      client.send(method + " /livez HTTP/1.1\r\nHost: x\r\n" + header + "\r\n" + body);
      const Response response = ask(server, client, "");
      CHECK(response.status == (method == "GET" ? 413 : 405));
      CHECK(response.field("Connection") == "close");
      // No byte of the body may be taken for a request.
      client.end();
      REQUIRE(server.drive_until([&] { return !client.receive(); }));
      CHECK(client.received().empty());
      CHECK_FALSE(client.was_reset());
    }
  }
}

TEST_CASE("a view that throws is a 500, and the next request is served", "[endpoint]") {
  bool broken = true;
  Server server([&] {
    if (broken) throw std::runtime_error("no view today");
    return sample_view();
  });
  Client client(server.port());
  const std::string request = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
  const Response response = ask(server, client, request);
  CHECK(response.status == 500);
  CHECK(response.body.find("no view today") != std::string::npos);
  broken = false;
  CHECK(ask(server, client, request).status == 200);
}

TEST_CASE("a taken port and a foreign address are errors that name them", "[endpoint]") {
  Server server;
  boost::asio::io_context io;
  const std::string taken = "127.0.0.1:" + std::to_string(server.port());
  try {
    const Endpoint second(io, "127.0.0.1", server.port(), sample_view);
    FAIL("bound twice");
  } catch (const std::system_error& error) {
    CHECK(error.code() == std::errc::address_in_use);
    CHECK(std::string(error.what()).find(taken) != std::string::npos);
  }
  try {
    const Endpoint elsewhere(io, "192.0.2.1", 8080, sample_view);
    FAIL("bound to an address of nobody");
  } catch (const std::system_error& error) {
    CHECK(error.code() == std::errc::address_not_available);
    CHECK(std::string(error.what()).find("192.0.2.1:8080") != std::string::npos);
  }
  CHECK_THROWS_AS(Endpoint(io, "not-an-address", 0, sample_view), std::system_error);
}

TEST_CASE("a restarted fleet can bind its port at once", "[endpoint]") {
  boost::asio::io_context io;
  std::uint16_t port = 0;
  {
    Server server;
    port = server.port();
    Client client(port);
    // The server closes first, so that the port's side is left in TIME_WAIT.
    CHECK(ask(server, client, "GET /livez HTTP/1.0\r\n\r\n").status == 200);
    REQUIRE(server.drive_until([&] { return !client.receive(); }));
  }
  const Endpoint again(io, "127.0.0.1", port, sample_view);
  CHECK(again.port() == port);
}

TEST_CASE("any-address of IPv6 serves both families", "[endpoint]") {
  std::unique_ptr<Server> server;
  try {
    server = std::make_unique<Server>(sample_view, "::");
  } catch (const std::system_error&) {
    WARN("no IPv6 on this host");
    return;
  }
  Client v4(server->port());
  CHECK(ask(*server, v4, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").body == "ok");
  Client v6(server->port(), "::1");
  CHECK(ask(*server, v6, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").body == "ok");
}

TEST_CASE("a destroyed server has closed every connection and descriptor", "[endpoint]") {
  const auto lowest_free = [] {
    const UniqueFd fd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    return fd.get();
  };
  boost::asio::io_context io;
  { const Endpoint warm_up(io, "127.0.0.1", 0, sample_view); }
  const int before = lowest_free();
  auto endpoint = std::make_unique<Endpoint>(io, "127.0.0.1", 0, sample_view);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Client>(endpoint->port()));
    clients.back()->send(i % 2 == 0 ? "GET /liv" : "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  for (int i = 0; i < 50; ++i) io.poll_one();
  endpoint.reset();
  for (int i = 0; i < 50; ++i) io.poll_one();  // what was pending ends quietly
  for (const auto& client : clients) CHECK_FALSE(client->receive());
  clients.clear();
  CHECK(lowest_free() == before);
}
