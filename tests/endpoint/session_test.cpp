// The deadlines of one connection, with short limits.

#include <sys/socket.h>

#include <filesystem>

#include "loopback.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

std::ptrdiff_t descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

/// A server and one client of it, connected.
struct Pair {
  explicit Pair(const HttpLimits& limits)
      : server({{"/livez",
                 [this](const HttpRequest&) {
                   return HttpResponse{200, body};
                 }}},
               limits) {
    const auto before = descriptors();
    REQUIRE(server.drive_until([&] { return descriptors() == before + 1; }));
    connected = before + 1;
  }

  void until_answered() {
    Response response;
    REQUIRE(server.drive_until([&] {
      client.receive();
      return client.take(response);
    }));
    CHECK(response.status == 200);
    CHECK(response.body == body);
  }
  /// Runs until the server has closed its socket; how long that took.
  Millis until_closed(bool reading = true, std::string_view flood = {}) {
    const TimePoint start = Clock::now();
    REQUIRE(server.drive_until([&] {
      client.send(flood);
      if (reading) client.receive();
      return descriptors() < connected;
    }));
    if (reading) client.receive();
    return std::chrono::duration_cast<Millis>(Clock::now() - start);
  }
  std::string status_line() const { return client.received().substr(0, 12); }

  std::string body = "ok";
  PlainServer server;
  Client client{server.port()};
  std::ptrdiff_t connected = 0;
};

const std::string kGet = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr Millis kShort{100};
constexpr Millis kNever{60'000};

HttpLimits never() {
  HttpLimits limits;
  limits.request = limits.write = limits.idle = limits.linger = kNever;
  return limits;
}

}  // namespace

TEST_CASE("a silent client is closed in time, without an answer", "[session]") {
  HttpLimits limits = never();
  limits.request = kShort;
  const TimePoint start = Clock::now();
  Pair pair(limits);
  pair.until_closed();
  CHECK(Clock::now() - start >= kShort);
  CHECK(pair.client.received().empty());
  CHECK_FALSE(pair.client.was_reset());
}

TEST_CASE("half a request is answered 408 when its time is up, then closed", "[session]") {
  HttpLimits limits = never();
  limits.request = limits.linger = kShort;
  const TimePoint start = Clock::now();
  Pair pair(limits);
  pair.client.send("GET /livez HTTP/1.1\r\nHo");
  pair.until_closed();
  CHECK(Clock::now() - start >= kShort);
  CHECK(pair.status_line() == "HTTP/1.1 408");
  CHECK(pair.client.closed());
}

TEST_CASE("a request sent byte by byte gets no more time", "[session]") {
  HttpLimits limits = never();
  limits.request = limits.linger = kShort;
  Pair pair(limits);
  pair.client.send("GET / HTTP/1.1\r\nX: ");
  CHECK(pair.until_closed(true, "x") < Millis{5000});
  CHECK(pair.status_line() == "HTTP/1.1 408");
}

TEST_CASE("half a body is answered 408 as well", "[session]") {
  HttpLimits limits = never();
  limits.request = limits.linger = kShort;
  PlainServer server({{"/", {}, [](const HttpRequest&) { return HttpResponse{}; }}}, limits);
  Client client(server.port());
  CHECK(ask(server, client, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhalf").status == 408);
}

TEST_CASE("a kept connection may idle longer than a request may take", "[session]") {
  HttpLimits limits = never();
  limits.request = kShort;
  limits.idle = Millis{400};
  Pair pair(limits);
  pair.client.send(kGet);
  CHECK(pair.until_closed() >= limits.idle);
  CHECK(pair.status_line() == "HTTP/1.1 200");
}

TEST_CASE("on a kept connection a request's time starts with its first byte", "[session]") {
  HttpLimits limits = never();
  limits.request = limits.linger = kShort;
  Pair pair(limits);
  pair.client.send(kGet);
  pair.until_answered();
  pair.client.send("GET /li");
  CHECK(pair.until_closed() < Millis{5000});
  CHECK(pair.status_line() == "HTTP/1.1 408");
}

TEST_CASE("a client that does not read its answer is closed in time", "[session]") {
  HttpLimits limits = never();
  limits.write = kShort;
  Pair pair(limits);
  pair.body = std::string(32u << 20, 'x');
  pair.client.send(kGet);
  CHECK(pair.until_closed(false) >= kShort);
  pair.client.receive();
  CHECK(pair.client.received().size() < pair.body.size());
}

TEST_CASE("an answer larger than the socket's buffer arrives whole", "[session]") {
  Pair pair(never());
  pair.body = std::string(32u << 20, 'x');
  pair.client.send(kGet);
  pair.until_answered();
}

TEST_CASE("after the last answer the server waits for the client's end for a limited time",
          "[session]") {
  HttpLimits limits = never();
  limits.linger = kShort;
  Pair pair(limits);
  pair.client.send("GET /livez HTTP/1.0\r\n\r\n");
  CHECK(pair.until_closed() >= kShort);
  CHECK(pair.client.closed());

  Pair flood(never());
  flood.client.send("garbage\x01\r\n");
  flood.until_closed(true, std::string(60'000, 'x'));
  CHECK(flood.status_line() == "HTTP/1.1 400");
}
