// The client of `health` and `status`, against the real endpoint and against worse servers.

#include "http/client.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loopback.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

/// A listener that accepts one connection in a child process and says `answer`, then waits for the
/// client's end if `hold`.
class OneShot {
 public:
  explicit OneShot(const std::string& answer, bool hold = false) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(fd.get(), 1) == 0);
    sockaddr_in bound{};
    socklen_t size = sizeof bound;
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    port = ntohs(bound.sin_port);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::alarm(60);
      const int client = ::accept(fd.get(), nullptr, nullptr);
      char request[1024];
      (void)!::read(client, request, sizeof request);
      (void)::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      while (hold && ::read(client, request, sizeof request) > 0) {
      }
      ::_exit(0);
    }
  }
  ~OneShot() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  OneShot(const OneShot&) = delete;
  OneShot& operator=(const OneShot&) = delete;
  std::uint16_t port = 0;

 private:
  pid_t pid_ = -1;
};

std::string failure(std::uint16_t port, Millis timeout = Millis{2000}) {
  try {
    const auto answer = http_get({"127.0.0.1"}, port, "/livez", timeout);
    return "answered " + std::to_string(answer.status);
  } catch (const HttpGetError& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("http_get returns status and body", "[http_get]") {
  const ServerProcess server;
  CHECK(http_get({"127.0.0.1"}, server.port, "/livez", Millis{5000}).body == "ok");
  const HttpAnswer status = http_get({"127.0.0.1"}, server.port, "/status", Millis{5000});
  CHECK(status.status == 200);
  CHECK(status.body == render_status(sample_view()));
  CHECK(http_get({"127.0.0.1"}, server.port, "/nowhere", Millis{5000}).status == 404);
}

TEST_CASE("http_get returns an answer of megabytes in full", "[http_get]") {
  FleetView view = sample_view();
  view.slots.resize(8000, view.slots[0]);
  const ServerProcess server([&] { return view; });
  const HttpAnswer status = http_get({"127.0.0.1"}, server.port, "/status", Millis{20'000});
  CHECK(status.body.size() > (2u << 20));
  CHECK(status.body == render_status(view));
}

TEST_CASE("a 503 is an answer, not a failure", "[http_get]") {
  FleetView view = sample_view();
  view.live = false;
  view.not_live_reason = "every slot is crash-looping";
  const ServerProcess server([&] { return view; });
  const HttpAnswer answer = http_get({"127.0.0.1"}, server.port, "/livez", Millis{5000});
  CHECK(answer.status == 503);
  CHECK(answer.body == "every slot is crash-looping");
}

TEST_CASE("a refused connection is an error that names address, port and reason", "[http_get]") {
  std::uint16_t free_port = 0;
  {
    boost::asio::io_context io;
    free_port = Endpoint(io, "127.0.0.1", 0, sample_view).port();
  }
  CHECK(failure(free_port) ==
        "no answer from 127.0.0.1:" + std::to_string(free_port) + ": Connection refused");
  CHECK_THROWS_AS(http_get({"nowhere"}, 1, "/", Millis{10}), HttpGetError);
}

TEST_CASE("a silent server costs no more than the timeout", "[http_get]") {
  const OneShot silent("", true);
  const TimePoint start = Clock::now();
  CHECK(failure(silent.port, Millis{150}).find("timed out after 150 ms") != std::string::npos);
  CHECK(Clock::now() - start >= Millis{150});
  CHECK(Clock::now() - start < Millis{3000});

  const OneShot half("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true);
  CHECK(failure(half.port, Millis{150}).find("timed out") != std::string::npos);
}

TEST_CASE("an answer that is not HTTP, or is cut off, is an error", "[http_get]") {
  const auto answer_of = [](const std::string& text) {
    const OneShot server(text);
    return failure(server.port);
  };
  CHECK(answer_of("").find("does not speak HTTP") != std::string::npos);
  CHECK(answer_of("SSH-2.0-OpenSSH_9.2\r\n").find("does not speak HTTP") != std::string::npos);
  CHECK(answer_of("220 smtp ready\r\n\r\n").find("does not speak HTTP") != std::string::npos);
  CHECK(answer_of("HTTP/1.1 abc\r\n\r\n").find("does not speak HTTP") != std::string::npos);
  CHECK(answer_of("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").find("HTTP") !=
        std::string::npos);
  CHECK(answer_of("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").find("cut short") !=
        std::string::npos);
  CHECK(answer_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
            .find("as pgforeman does") != std::string::npos);
  CHECK(answer_of("HTTP/1.0 204 No Content\r\n\r\n") == "answered 204");
}

TEST_CASE("an any-address is reached on loopback", "[http_get]") {
  using Addresses = std::vector<std::string>;
  CHECK(connectable_addresses("0.0.0.0") == Addresses{"127.0.0.1"});
  CHECK(connectable_addresses("::") == Addresses{"127.0.0.1", "::1"});
  CHECK(connectable_addresses("0:0::0") == Addresses{"127.0.0.1", "::1"});
  CHECK(connectable_addresses("10.1.2.3") == Addresses{"10.1.2.3"});
  CHECK(connectable_addresses("fd00::1") == Addresses{"fd00::1"});
}

TEST_CASE("the first address that accepts a connection answers, and all are named when none does",
          "[http_get]") {
  boost::asio::io_context io;
  const std::uint16_t free_port = Endpoint(io, "127.0.0.1", 0, sample_view).port();
  const std::string port = std::to_string(free_port);
  try {
    http_get({"127.0.0.1", "127.0.0.2"}, free_port, "/livez", Millis{2000});
    FAIL("it answered");
  } catch (const HttpGetError& error) {
    CHECK(std::string(error.what()) ==
          "no answer from 127.0.0.1:" + port +
              ": Connection refused; no answer from 127.0.0.2:" + port + ": Connection refused");
  }
  const ServerProcess server;
  CHECK(http_get({"127.0.0.2", "127.0.0.1"}, server.port, "/livez", Millis{5000}).body == "ok");
}
