#include "support/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace pgforeman::test {
namespace {

using Clock = std::chrono::steady_clock;

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// Everything until the server closes; false when it does not in time.
bool read_all(int fd, std::string& text, Clock::time_point end) {
  std::array<char, 16384> buffer;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd ready{fd, POLLIN, 0};
    if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) <= 0) return false;
    const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (size == 0) return true;
    if (size < 0 && errno != EINTR) return false;
    if (size > 0) text.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

std::string header(const std::string& head, std::string name) {
  std::string lower = head;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto at = lower.find("\r\n" + name + ":");
  if (at == std::string::npos) return "";
  const auto from = head.find_first_not_of(' ', at + 2 + name.size() + 1);
  return head.substr(from, head.find("\r\n", from) - from);
}

void take_apart(const std::string& text, HttpReply& reply, bool has_body) {
  const auto end = text.find("\r\n\r\n");
  if (end == std::string::npos || text.compare(0, 9, "HTTP/1.1 ") != 0) {
    reply.problem = "no HTTP/1.1 answer: " + text.substr(0, 100);
    return;
  }
  const std::string head = text.substr(0, end);
  reply.body = text.substr(end + 4);
  reply.content_type = header(head, "content-type");
  const std::string length = header(head, "content-length");
  if (has_body && length != std::to_string(reply.body.size())) {
    reply.problem = "Content-Length is " + length + ", the body has " +
                    std::to_string(reply.body.size()) + " bytes";
    return;
  }
  reply.status = std::atoi(text.c_str() + 9);
}

}  // namespace

int connect_to(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const sockaddr_in address = loopback(port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

HttpReply http_get(int port, const std::string& target, std::chrono::milliseconds limit,
                   const std::string& method) {
  const auto start = Clock::now();
  HttpReply reply;
  const int fd = connect_to(port);
  if (fd < 0) {
    reply.problem = std::string("cannot connect: ") + std::strerror(errno);
    return reply;
  }
  const std::string request =
      method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  std::string text;
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    reply.problem = std::string("cannot send: ") + std::strerror(errno);
  } else if (!read_all(fd, text, start + limit)) {
    reply.problem = "no complete answer in time; so far: " + text.substr(0, 100);
  } else {
    take_apart(text, reply, method != "HEAD");
  }
  ::close(fd);
  reply.took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
  return reply;
}

}  // namespace pgforeman::test
