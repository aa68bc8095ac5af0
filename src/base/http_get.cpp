#include "base/http_get.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/fd.h"
#include "base/socket_address.h"

namespace pgforeman {
namespace {

// A fleet of 1,024 children describes itself in well under 2 MiB.
constexpr std::size_t kMaxAnswerBytes = 32u << 20;

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

/// One connection, with every wait bounded by the same deadline.
class Exchange {
 public:
  Exchange(const std::string& address, std::uint16_t port, TimePoint end)
      : place_(address_and_port(address, port)), start_(Clock::now()), end_(end) {}

  /// Throws HttpConnectError, after `patience` at the latest.
  void connect(const SocketAddress& to, Clock::duration patience) {
    fd_ = UniqueFd(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_) fail(errno_text(errno));
    if (::connect(fd_.get(), to.get(), to.size) != 0) {
      if (errno != EINPROGRESS) fail(errno_text(errno));
      const TimePoint end = std::exchange(end_, std::min(end_, Clock::now() + patience));
      wait(POLLOUT);
      end_ = end;
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) fail(errno_text(error));
    }
    connected_ = true;
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno == EAGAIN) {
        wait(POLLOUT);
      } else if (errno != EINTR) {
        fail(errno_text(errno));
      }
    }
  }

  /// Appends what has come to `into`; false at the end of the stream.
  bool receive(std::string& into) {
    std::array<char, 16384> buffer;
    for (;;) {
      const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (n == 0) return false;
      if (n > 0) {
        into.append(buffer.data(), static_cast<std::size_t>(n));
        if (into.size() > kMaxAnswerBytes) fail("the answer is too long");
        return true;
      }
      if (errno == EAGAIN) {
        wait(POLLIN);
      } else if (errno != EINTR) {
        fail(errno_text(errno));
      }
    }
  }

  [[noreturn]] void fail(const std::string& why) const {
    const std::string text = "no answer from " + place_ + ": " + why;
    if (connected_) throw HttpGetError(text);
    throw HttpConnectError(text);
  }

 private:
  void wait(short events) {
    for (;;) {
      const auto left = std::chrono::ceil<Millis>(end_ - Clock::now()).count();
      if (left <= 0) {
        const auto waited = std::chrono::round<Millis>(end_ - start_).count();
        fail("timed out after " + std::to_string(waited) + " ms");
      }
      pollfd wanted{fd_.get(), events, 0};
      const int rc = ::poll(&wanted, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
      if (rc > 0) return;
      if (rc < 0 && errno != EINTR) fail(errno_text(errno));
    }
  }

  std::string place_;
  TimePoint start_, end_;
  bool connected_ = false;
  UniqueFd fd_;
};

struct Head {
  int status = 0;
  std::optional<std::size_t> content_length;
};

/// Nothing when `text` (everything up to the blank line) is no HTTP/1.x response head.
std::optional<Head> parse_head(std::string_view text) {
  if (text.size() < 12 || text.substr(0, 7) != "HTTP/1." || text[8] != ' ') return std::nullopt;
  Head head;
  const auto status = text.substr(9, 3);
  if (std::from_chars(status.data(), status.data() + 3, head.status).ptr != status.data() + 3) {
    return std::nullopt;
  }
  for (auto at = text.find("\r\n"); at != std::string_view::npos;) {
    const auto end = text.find("\r\n", at + 2);
    const auto line = text.substr(at + 2, end == std::string_view::npos ? end : end - at - 2);
    at = end;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto name = line.substr(0, colon);
    auto value = line.substr(colon + 1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    if (same_word(name, "transfer-encoding")) return std::nullopt;  // pgforeman never sends one
    if (!same_word(name, "content-length")) continue;
    std::size_t length = 0;
    const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), length);
    if (error != std::errc() || stop != value.data() + value.size()) return std::nullopt;
    head.content_length = length;
  }
  return head;
}

HttpAnswer ask(const std::string& address, std::uint16_t port, const std::string& target,
               TimePoint end, Clock::duration connect_patience) {
  Exchange exchange(address, port, end);
  SocketAddress to;
  try {
    to = make_socket_address(address, port);
  } catch (const std::system_error& error) {
    exchange.fail(error.what());
  }
  exchange.connect(to, connect_patience);
  exchange.send("GET " + target + " HTTP/1.1\r\nHost: " + address_and_port(address, port) +
                "\r\nConnection: close\r\nUser-Agent: pgforeman\r\n\r\n");
  std::string bytes;
  std::size_t head_end = std::string::npos;
  while ((head_end = bytes.find("\r\n\r\n")) == std::string::npos) {
    if (bytes.size() > 65536 || !exchange.receive(bytes)) exchange.fail("it does not speak HTTP");
  }
  const auto head = parse_head(std::string_view(bytes).substr(0, head_end));
  if (!head) exchange.fail("it does not speak HTTP as pgforeman does");
  bytes.erase(0, head_end + 4);
  while (!head->content_length || bytes.size() < *head->content_length) {
    if (exchange.receive(bytes)) continue;
    if (head->content_length) exchange.fail("the answer was cut short");
    break;
  }
  if (head->content_length) bytes.resize(*head->content_length);
  return HttpAnswer{head->status, std::move(bytes)};
}

}  // namespace

std::vector<std::string> connectable_addresses(const std::string& listen_address) {
  SocketAddress address;
  try {
    address = make_socket_address(listen_address, 0);
  } catch (const std::system_error&) {
    return {listen_address};  // the caller's connect names the mistake
  }
  if (address.family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    return {v4->sin_addr.s_addr == INADDR_ANY ? "127.0.0.1" : listen_address};
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  if (IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)) return {"127.0.0.1", "::1"};
  return {listen_address};
}

HttpAnswer http_get(const std::vector<std::string>& addresses, std::uint16_t port,
                    const std::string& target, Millis timeout) {
  const TimePoint end = Clock::now() + timeout;
  std::string failed;
  for (std::size_t i = 0; i + 1 < addresses.size(); ++i) {
    try {
      // A firewall that swallows packets to one family leaves time for the other.
      return ask(addresses[i], port, target, end, timeout / 2);
    } catch (const HttpConnectError& error) {
      failed += std::string(error.what()) + "; ";
    }
  }
  try {
    return ask(addresses.back(), port, target, end, timeout);
  } catch (const HttpConnectError& error) {
    throw HttpConnectError(failed + error.what());
  }
}

}  // namespace pgforeman
