// Bytes in, requests or refusals out: no sockets.

#include "supervisor/request_reader.h"

#include <random>

#include "base/clock.h"
#include "support/catch.h"

using namespace pgforeman;

namespace {

const std::string kRequest = "GET /livez HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n";

/// Feeds `bytes` in pieces of `piece` and returns the status of the refusal; 0: a request came;
/// -1: it wants more.
int verdict(std::string_view bytes, std::size_t piece = std::string::npos) {
  RequestReader reader;
  while (!bytes.empty()) {
    const auto part = bytes.substr(0, std::min(piece, reader.room()));
    bytes.remove_prefix(part.size());
    reader.append(part);
    const auto next = reader.next();
    if (const auto* refusal = std::get_if<Refusal>(&next)) return refusal->status;
    if (std::holds_alternative<HttpRequest>(next)) return 0;
  }
  return -1;
}

}  // namespace

TEST_CASE("a request is read however it is cut", "[request_reader]") {
  for (std::size_t piece = 1; piece <= kRequest.size(); ++piece) {
    INFO("pieces of " << piece);
    RequestReader reader;
    std::string_view rest = kRequest;
    std::size_t requests = 0;
    while (!rest.empty()) {
      reader.append(rest.substr(0, piece));
      rest.remove_prefix(std::min(piece, rest.size()));
      const auto next = reader.next();
      REQUIRE_FALSE(std::holds_alternative<Refusal>(next));
      if (const auto* request = std::get_if<HttpRequest>(&next)) {
        ++requests;
        CHECK(request->method == "GET");
        CHECK(request->target == "/livez");
        CHECK(request->keep_alive);
        CHECK_FALSE(request->has_body);
        CHECK(reader.between_requests());
      } else {
        CHECK_FALSE(reader.between_requests());
      }
    }
    CHECK(requests == 1);
  }
}

TEST_CASE("empty lines before a request are skipped, but not for ever", "[request_reader]") {
  CHECK(verdict("\r\n\r\n" + kRequest) == 0);
  CHECK(verdict("\r\n" + kRequest, 1) == 0);
  std::string lines;
  for (int i = 0; i < 5000; ++i) lines += "\r\n";
  CHECK(verdict(lines) == 431);
  CHECK(verdict(lines, 3) == 431);
}

TEST_CASE("a header is at most 8 KiB, in one field, in many, or in the request line",
          "[request_reader]") {
  const auto request_of_size = [](std::size_t size) {
    std::string text = "GET / HTTP/1.1\r\nX: \r\n\r\n";
    text.insert(19, std::string(size - text.size(), 'x'));
    return text;
  };
  const std::size_t piece =
      GENERATE(std::size_t{1}, std::size_t{7}, std::size_t{1460}, std::size_t{100'000});
  INFO("pieces of " << piece);
  CHECK(verdict(request_of_size(kMaxHeaderBytes), piece) == 0);
  CHECK(verdict(request_of_size(kMaxHeaderBytes + 1), piece) == 431);
  std::string fields = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 5000; ++i) fields += "A: b\r\n";
  CHECK(verdict(fields, piece) == 431);
  CHECK(verdict("GET /" + std::string(20'000, 'a'), piece) == 431);
  CHECK(verdict(std::string(20'000, 'G'), piece) == 431);
}

TEST_CASE("what is no HTTP/1 request is refused at once", "[request_reader]") {
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

TEST_CASE("an announced body ends the stream", "[request_reader]") {
  for (const char* field : {"Content-Length: 5", "Transfer-Encoding: chunked",
                            "Transfer-Encoding: gzip", "Content-Length: 18446744073709551615"}) {
    INFO(field);
    RequestReader reader;
    reader.append(std::string("GET / HTTP/1.1\r\n") + field + "\r\n\r\nhello");
    const auto next = reader.next();
    REQUIRE(std::holds_alternative<HttpRequest>(next));
    CHECK(std::get<HttpRequest>(next).has_body);
    CHECK_FALSE(std::get<HttpRequest>(next).keep_alive);
  }
}

TEST_CASE("random bytes and mutated requests end in an answer, never in a hang",
          "[request_reader]") {
  std::mt19937 random(20240607);
  const TimePoint end = Clock::now() + Millis{700};
  std::size_t rounds = 0;
  while (Clock::now() < end) {
    std::string bytes =
        kRequest + "GET /metrics HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + kRequest;
    const auto mutations = random() % 6;
    for (unsigned i = 0; i < mutations; ++i) {
      bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
    }
    if (random() % 4 == 0) {
      for (char& c : bytes) c = static_cast<char>(random() % 256);
    }
    RequestReader reader;
    std::size_t at = 0;
    bool over = false;
    while (at < bytes.size() && !over) {
      REQUIRE(reader.room() > 0);
      const std::size_t n =
          std::min<std::size_t>({bytes.size() - at, reader.room(), 1 + random() % 40});
      reader.append(std::string_view(bytes).substr(at, n));
      at += n;
      for (;;) {
        const auto next = reader.next();
        if (std::holds_alternative<NeedMore>(next)) break;
        const auto* request = std::get_if<HttpRequest>(&next);
        over = request == nullptr || request->has_body;
        if (over) break;
      }
    }
    ++rounds;
  }
  CHECK(rounds > 100);
}
