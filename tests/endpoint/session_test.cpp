// The deadlines of one connection, with short limits, over a socket pair.

#include "supervisor/http_session.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "support/catch.h"

using namespace pgforeman;

namespace {

struct Owner : HttpSession::Owner {
  HttpResponse respond(const HttpRequest&) override { return text_response(200, body); }
  void on_answered(HttpSession&) override { ++answered; }
  void on_closed(HttpSession&) override { ++closed; }
  std::string body = "ok";
  int answered = 0;
  int closed = 0;
};

struct Pair {
  explicit Pair(const SessionLimits& limits) {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) == 0);
    peer = UniqueFd(fds[1]);
    session = std::make_shared<HttpSession>(io, UniqueFd(fds[0]), owner, limits);
    session->start();
  }
  void send(std::string_view bytes) const {
    REQUIRE(::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  void receive() {
    std::array<char, 65536> buffer;
    ssize_t n = 0;
    while ((n = ::recv(peer.get(), buffer.data(), buffer.size(), 0)) > 0) {
      received.append(buffer.data(), static_cast<std::size_t>(n));
    }
    if (n == 0) ended = true;
  }
  /// Runs until the session has closed; how long that took.
  Millis until_closed(bool reading = true) {
    const TimePoint start = Clock::now();
    while (owner.closed == 0 && Clock::now() < start + Millis{10'000}) {
      io.run_one_for(std::chrono::milliseconds(5));
      if (reading) receive();
    }
    REQUIRE(owner.closed == 1);
    if (reading) receive();
    return std::chrono::duration_cast<Millis>(Clock::now() - start);
  }
  void until_answered(int count) {
    const TimePoint end = Clock::now() + Millis{10'000};
    while (owner.answered < count && Clock::now() < end)
      io.run_one_for(std::chrono::milliseconds(5));
    REQUIRE(owner.answered == count);
  }

  boost::asio::io_context io;
  Owner owner;
  UniqueFd peer;
  std::shared_ptr<HttpSession> session;
  std::string received;
  bool ended = false;
};

const std::string kGet = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr Millis kShort{100};
constexpr Millis kNever{60'000};

SessionLimits all(Millis limit) {
  return {limit, limit, limit, limit};
}

}  // namespace

TEST_CASE("who connects and says nothing is closed in time, without an answer", "[session]") {
  SessionLimits limits = all(kNever);
  limits.request = kShort;
  const TimePoint start = Clock::now();
  Pair pair(limits);
  pair.until_closed();
  CHECK(Clock::now() - start >= kShort);
  CHECK(pair.received.empty());
  CHECK(pair.ended);
}

TEST_CASE("half a request is answered 408 when its time is up, then closed", "[session]") {
  SessionLimits limits = all(kNever);
  limits.request = limits.linger = kShort;
  const TimePoint start = Clock::now();
  Pair pair(limits);
  pair.send("GET /livez HTTP/1.1\r\nHo");
  pair.until_closed();
  CHECK(Clock::now() - start >= kShort);
  CHECK(pair.received.substr(0, 12) == "HTTP/1.1 408");
  CHECK(pair.ended);
}

TEST_CASE("dripping bytes does not extend a request's time", "[session]") {
  SessionLimits limits = all(kNever);
  limits.request = limits.linger = kShort;
  Pair pair(limits);
  pair.send("GET / HTTP/1.1\r\nX: ");
  const TimePoint start = Clock::now();
  TimePoint next_drop = start;
  while (pair.owner.closed == 0) {
    if (Clock::now() >= next_drop) {
      (void)::send(pair.peer.get(), "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
      next_drop += kShort / 10;
    }
    pair.io.run_one_for(std::chrono::milliseconds(1));
    pair.receive();
    REQUIRE(Clock::now() - start < Millis{5000});
  }
  CHECK(pair.owner.closed == 1);
  CHECK(pair.received.substr(0, 12) == "HTTP/1.1 408");
}

TEST_CASE("a kept connection may idle longer than a request may take", "[session]") {
  SessionLimits limits = all(kNever);
  limits.request = kShort;
  limits.idle = Millis{400};
  Pair pair(limits);
  pair.send(kGet);
  CHECK(pair.until_closed() >= limits.idle);
  CHECK(pair.received.substr(0, 12) == "HTTP/1.1 200");
}

TEST_CASE("on a kept connection a request's time starts with its first byte", "[session]") {
  SessionLimits limits = all(kNever);
  limits.request = limits.linger = kShort;
  Pair pair(limits);
  pair.send(kGet);
  pair.until_answered(1);
  pair.send("GET /li");
  CHECK(pair.until_closed() < Millis{5000});
  CHECK(pair.received.find("HTTP/1.1 408") != std::string::npos);
}

TEST_CASE("who does not read the answer is closed in time", "[session]") {
  SessionLimits limits = all(kNever);
  limits.write = kShort;
  Pair pair(limits);
  pair.owner.body = std::string(8u << 20, 'x');
  pair.send(kGet);
  CHECK(pair.until_closed(false) >= kShort);
  CHECK(pair.owner.answered == 0);
}

TEST_CASE("an answer larger than the socket's buffer arrives whole", "[session]") {
  SessionLimits limits = all(kNever);
  limits.idle = kShort;
  Pair pair(limits);
  pair.owner.body = std::string(8u << 20, 'x');
  pair.send(kGet);
  pair.until_closed();
  CHECK(pair.owner.answered == 1);
  CHECK(pair.received.size() > pair.owner.body.size());
}

TEST_CASE("after the last answer the peer's end is awaited, but not for ever", "[session]") {
  SessionLimits limits = all(kNever);
  limits.linger = kShort;
  Pair pair(limits);
  pair.send("GET /livez HTTP/1.0\r\n\r\n");
  CHECK(pair.until_closed() >= kShort);
  CHECK(pair.ended);

  Pair flood(all(kNever));
  flood.send("garbage\x01\r\n");
  const std::string more(60'000, 'x');
  const TimePoint end = Clock::now() + Millis{10'000};
  while (flood.owner.closed == 0 && Clock::now() < end) {
    (void)::send(flood.peer.get(), more.data(), more.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    flood.io.run_one_for(std::chrono::milliseconds(1));
    flood.receive();
  }
  CHECK(flood.owner.closed == 1);
  CHECK(flood.received.substr(0, 12) == "HTTP/1.1 400");
}

TEST_CASE("closing twice, or with a wait pending, tells the owner once", "[session]") {
  Pair pair(all(kNever));
  pair.io.poll();
  pair.session->close();
  pair.session->close();
  pair.io.poll();
  CHECK(pair.owner.closed == 1);
}
