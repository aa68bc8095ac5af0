// Bytes of one connection in, requests to a route or refusals out.

#include <random>

#include "loopback.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

const std::string kRequest = "GET /livez HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n";
const HttpLimits kLimits;

/// What came of the last request to its route.
struct Seen {
  std::size_t requests = 0;
  HttpRequest last;
  HttpResponse operator()(const HttpRequest& request) {
    ++requests;
    last = request;
    return {200, request.body};
  }
};

class Peer {
 public:
  Peer() : server({{"/livez", std::ref(seen)}, {"/", std::ref(seen), std::ref(seen)}}) {}

  /// Sends `bytes` in pieces of `piece`, each after the one before was read.
  void send(std::string_view bytes, std::size_t piece = std::string::npos) {
    while (!bytes.empty() && client.receive()) {
      client.send(bytes.substr(0, piece));
      bytes.remove_prefix(std::min(piece, bytes.size()));
      server.io.poll();
    }
  }
  /// The status of the next answer, which comes without anything more being sent.
  int status() {
    Response response;
    server.drive_until([&] {
      client.receive();
      return client.take(response);
    });
    return response.status;
  }

  Seen seen;
  PlainServer server;
  Client client{server.port()};
};

int verdict(std::string_view bytes, std::size_t piece = std::string::npos) {
  Peer peer;
  peer.send(bytes, piece);
  return peer.status();
}

}  // namespace

TEST_CASE("A request is read however it is cut", "[requests]") {
  for (std::size_t piece = 1; piece <= kRequest.size(); ++piece) {
    INFO("pieces of " << piece);
    Peer peer;
    peer.send(std::string_view(kRequest).substr(0, kRequest.size() - 1), piece);
    CHECK(peer.seen.requests == 0);
    peer.send(std::string_view(kRequest).substr(kRequest.size() - 1));
    CHECK(peer.status() == 200);
    CHECK(peer.seen.requests == 1);
    CHECK(peer.seen.last.method == "GET");
    CHECK(peer.seen.last.target == "/livez");
    CHECK_FALSE(peer.seen.last.has_body);
    CHECK(peer.client.receive());
  }
}

TEST_CASE("Some empty lines before a request are skipped, many are refused", "[requests]") {
  CHECK(verdict("\r\n\r\n" + kRequest) == 200);
  CHECK(verdict("\r\n" + kRequest, 1) == 200);
  std::string lines;
  for (int i = 0; i < 5000; ++i) lines += "\r\n";
  CHECK(verdict(lines) == 431);
  CHECK(verdict(lines, 3) == 431);
}

TEST_CASE("A header is at most 8 KiB, in one field, in many, or in the request line",
          "[requests]") {
  const auto request_of_size = [](std::size_t size) {
    std::string text = "GET / HTTP/1.1\r\nX: \r\n\r\n";
    text.insert(19, std::string(size - text.size(), 'x'));
    return text;
  };
  const std::size_t piece =
      GENERATE(std::size_t{1}, std::size_t{7}, std::size_t{1460}, std::size_t{100'000});
  INFO("pieces of " << piece);
  CHECK(kLimits.header_bytes == 8192);
  CHECK(verdict(request_of_size(kLimits.header_bytes), piece) == 200);
  CHECK(verdict(request_of_size(kLimits.header_bytes + 1), piece) == 431);
  std::string fields = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 5000; ++i) fields += "A: b\r\n";
  CHECK(verdict(fields, piece) == 431);
  CHECK(verdict("GET /" + std::string(20'000, 'a'), piece) == 431);
  CHECK(verdict(std::string(20'000, 'G'), piece) == 431);
  // Beast takes no more than 4 KiB of a value that goes on in another line.
  CHECK(verdict("GET / HTTP/1.1\r\nX: y\r\n " + std::string(5000, 'z') + "\r\n\r\n", piece) == 431);
}

TEST_CASE("Bytes that are not an HTTP/1 request are refused at once", "[requests]") {
  CHECK(verdict(std::string("\x16\x03\x01\x02\x00\x01", 6)) == 400);  // a TLS hello
  CHECK(verdict(std::string("\0", 1)) == 400);
  CHECK(verdict("GET\r\n\r\n") == 400);
  CHECK(verdict("GET / HTTP/1.1\r\nno colon\r\n\r\n") == 400);
  CHECK(verdict("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n") == 400);
  CHECK(verdict("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n") == 400);
  CHECK(verdict("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n") == 400);
  CHECK(verdict("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 505);
  CHECK(verdict("GET / HTTP/9.9\r\n\r\n") == 505);
}

TEST_CASE("An announced body that no route reads ends the connection", "[requests]") {
  for (const char* field : {"Content-Length: 5", "Transfer-Encoding: chunked",
                            "Transfer-Encoding: gzip", "Content-Length: 18446744073709551615"}) {
    INFO(field);
    Peer peer;
    peer.send(std::string("GET / HTTP/1.1\r\n") + field + "\r\n\r\n" + kRequest);
    CHECK(peer.status() == 413);
    peer.client.end();
    CHECK(peer.server.drive_until([&] { return !peer.client.receive(); }));
    CHECK(peer.client.received().empty());
    CHECK(peer.seen.last.target != "/livez");
  }
}

TEST_CASE("A body is read for a route of POST, and the next request follows it", "[requests]") {
  const std::size_t size = GENERATE(std::size_t{0}, std::size_t{5}, std::size_t{65'536});
  const std::size_t piece = GENERATE(std::size_t{7}, std::size_t{1000}, std::size_t{100'000});
  INFO(size << " bytes in pieces of " << piece);
  std::string body(size, '\0');
  for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>(i % 251);
  Peer peer;
  peer.send(
      "POST / HTTP/1.1\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + body + kRequest,
      piece);
  CHECK(peer.status() == 200);
  CHECK(peer.status() == 200);
  CHECK(peer.seen.requests == 2);
  CHECK(peer.seen.last.target == "/livez");
}

TEST_CASE("A body that is too long or of unknown length is refused unread", "[requests]") {
  const std::string post = "POST / HTTP/1.1\r\n";
  CHECK(kLimits.body_bytes == 65'536);
  CHECK(verdict(post + "Content-Length: 65537\r\n\r\n") == 413);
  CHECK(verdict(post + "Content-Length: 18446744073709551615\r\n\r\n") == 413);
  CHECK(verdict(post + "Transfer-Encoding: chunked\r\n\r\n") == 411);
  CHECK(verdict(post + "Transfer-Encoding: gzip\r\n\r\n") == 411);
  CHECK(verdict("POST /livez HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n") == 405);
}

TEST_CASE("Random bytes and mutated requests end in an answer, never in a hang", "[requests]") {
  std::mt19937 random(20240607);
  const TimePoint end = Clock::now() + Millis{700};
  std::size_t rounds = 0;
  while (Clock::now() < end) {
    std::string bytes = kRequest +
                        "POST / HTTP/1.0\r\nContent-Length: 9\r\nConnection: keep-alive\r\n\r\n" +
                        kRequest.substr(0, 9) + kRequest;
    const auto mutations = random() % 6;
    for (unsigned i = 0; i < mutations; ++i) {
      bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
    }
    if (random() % 4 == 0) {
      for (char& c : bytes) c = static_cast<char>(random() % 256);
    }
    Peer peer;
    peer.send(bytes, 1 + random() % 40);
    peer.client.end();
    REQUIRE(peer.server.drive_until([&] { return !peer.client.receive(); }));
    ++rounds;
  }
  CHECK(rounds > 100);
}
