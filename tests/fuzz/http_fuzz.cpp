// Bytes to a server. The first says how many of the others come at a time.

#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/must.h"
#include "http/server.h"
#include "system/fd.h"

using namespace pgforeman;
using pgforeman::test::must;

namespace {

/// A server in this process, and what its routes were asked.
struct Target {
  HttpResponse operator()(const HttpRequest& request) {
    must(!request.method.empty() && !request.target.empty(), "a request has method and target");
    must(request.method.size() + request.target.size() <= limits.header_bytes,
         "a header is bounded");
    must(request.body.size() <= limits.body_bytes, "a body is bounded");
    ++requests;
    return {200, "ok"};
  }

  std::size_t requests = 0;
  HttpLimits limits;
  boost::asio::io_context io{1};
  HttpServer server{
      io, "127.0.0.1", 0, {{"/livez", std::ref(*this)}, {"/", std::ref(*this), std::ref(*this)}}};
};

UniqueFd connect_to(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  must(::connect(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0, "it can connect");
  // A reset at the end leaves no port in TIME_WAIT: a fuzzer would soon have used all.
  const linger reset{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  return fd;
}

/// How many answers were cut off the front of `text`, each of them in form.
std::size_t take_answers(std::string& text) {
  std::size_t answers = 0;
  for (; !text.empty(); ++answers) {
    const auto end = text.find("\r\n\r\n");
    const auto length = text.find("\r\nContent-Length: ");
    must(end != std::string::npos && length < end, "an answer has a head with its length");
    const int status = std::stoi(text.substr(9, 3));
    must(text.compare(0, 9, "HTTP/1.1 ") == 0 && status >= 200 && status < 600,
         "an answer has a status");
    const std::size_t body = std::stoul(text.substr(length + 18));
    must(body > 0, "an answer has a text");
    // The answer to HEAD has none: another follows, or nothing does.
    const bool none = text.size() == end + 4 || text.compare(end + 4, 9, "HTTP/1.1 ") == 0;
    must(none || text.size() >= end + 4 + body, "an answer is whole");
    text.erase(0, end + 4 + (none ? 0 : body));
  }
  return answers;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static Target target;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t piece = data[0] + 1U;
  target.requests = 0;
  std::string received;
  {
    const UniqueFd peer = connect_to(target.server.port());
    while (!rest.empty()) {
      const auto sent = ::send(peer.get(), rest.data(), std::min(piece, rest.size()),
                               MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent <= 0) break;
      rest.remove_prefix(static_cast<std::size_t>(sent));
      target.io.poll();
      char buffer[4096];
      for (ssize_t n = 1; n > 0;) {
        n = ::recv(peer.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0) received.append(buffer, static_cast<std::size_t>(n));
      }
    }
  }
  target.io.poll();
  const std::size_t answers = take_answers(received);
  must(target.requests <= answers, "a request is answered");
  must(answers <= size / 10 + 1, "a request is more than ten bytes, what is none is refused once");
  return 0;
}
