#include "support/proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <deque>
#include <list>
#include <string>
#include <system_error>
#include <vector>

namespace pgforeman::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMost = 1U << 20U;  // held for one direction, before it is read no further

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

/// What is on its way in one direction.
struct Pipe {
  struct Piece {
    Clock::time_point due;
    std::string bytes;
  };
  int from = -1, to = -1;
  std::deque<Piece> pieces;
  std::size_t held = 0;
  bool ended = false;  ///< nothing more will come; `to` gets the end when all has arrived

  bool reads() const { return !ended && held < kMost; }
  bool writes(Clock::time_point now) const { return !pieces.empty() && pieces.front().due <= now; }

  bool read(Clock::time_point due) {
    std::array<char, 65536> buffer;
    const ssize_t size = ::recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) {
      ended = true;
    } else {
      pieces.push_back({due, std::string(buffer.data(), static_cast<std::size_t>(size))});
      held += static_cast<std::size_t>(size);
    }
    return true;
  }

  bool write() {
    std::string& bytes = pieces.front().bytes;
    const ssize_t size = ::send(to, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    held -= static_cast<std::size_t>(size);
    bytes.erase(0, static_cast<std::size_t>(size));
    if (bytes.empty()) pieces.pop_front();
    return true;
  }
};

/// A client and its connection to the server.
struct Link {
  Pipe up, down;

  void close(bool with_reset) const {
    const linger at_once{1, 0};
    for (const int fd : {up.from, up.to}) {
      if (with_reset) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      ::close(fd);
    }
  }
};

int connect_to(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const sockaddr_in address = loopback(port);
  // On loopback this is a moment, or a refusal; but a stopped server's backlog may be full.
  const timeval most{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

class Links {
 public:
  ~Links() { close_all(false); }

  void accept(int listener, int server_port) {
    const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = connect_to(server_port);
    Link link;
    link.up.from = link.down.to = client;
    link.up.to = link.down.from = server;
    if (server < 0) {
      // As the server itself would: refused, or as near to it as an accepted connection comes.
      link.close(true);
      return;
    }
    const int on = 1;
    ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    links_.push_back(std::move(link));
  }

  void close_all(bool with_reset) {
    for (const Link& link : links_) link.close(with_reset);
    links_.clear();
  }

  void watch(std::vector<pollfd>& polled, Clock::time_point now) const {
    for (const Link& link : links_) {
      polled.push_back(wanted(link.up.from, link.up, link.down, now));
      polled.push_back(wanted(link.up.to, link.down, link.up, now));
    }
  }

  /// `polled`: what watch() added.
  void pass_on(const pollfd* polled, Clock::time_point now, std::chrono::milliseconds delay) {
    for (auto link = links_.begin(); link != links_.end(); polled += 2) {
      if (pass_on(*link, polled[0].revents, polled[1].revents, now, now + delay)) {
        ++link;
      } else {
        link->close(false);
        link = links_.erase(link);
      }
    }
  }

  /// When the next piece is due, for a caller that would sleep longer.
  Clock::time_point next(Clock::time_point latest) const {
    for (const Link& link : links_) {
      for (const Pipe* pipe : {&link.up, &link.down}) {
        if (!pipe->pieces.empty()) latest = std::min(latest, pipe->pieces.front().due);
      }
    }
    return latest;
  }

 private:
  /// Nothing is asked of a peer that has ended while a piece for it is not due: it would answer at
  /// once, again and again.
  static pollfd wanted(int fd, const Pipe& out, const Pipe& in, Clock::time_point now) {
    const int events = (out.reads() ? POLLIN : 0) | (in.writes(now) ? POLLOUT : 0);
    return {events != 0 ? fd : -1, static_cast<short>(events), 0};
  }

  static bool pass_on(Link& link, short client, short server, Clock::time_point now,
                      Clock::time_point due) {
    bool ok = true;
    if ((client & (POLLIN | POLLHUP | POLLERR)) != 0 && link.up.reads()) ok = link.up.read(due);
    if (ok && (server & (POLLIN | POLLHUP | POLLERR)) != 0 && link.down.reads()) {
      ok = link.down.read(due);
    }
    if (ok && link.up.writes(now)) ok = link.up.write();
    if (ok && link.down.writes(now)) ok = link.down.write();
    // Either end is the end of both, once what it said last has arrived.
    const bool over =
        (link.up.ended && link.up.pieces.empty()) || (link.down.ended && link.down.pieces.empty());
    return ok && !over;
  }

  std::list<Link> links_;
};

}  // namespace

Proxy::Proxy(int server_port) : server_port_(server_port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (listener_ < 0 || wake_ < 0 || ::bind(listener_, any, size) != 0 ||
      ::listen(listener_, 512) != 0 || ::getsockname(listener_, any, &size) != 0) {
    fail("a proxy's port");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

Proxy::~Proxy() {
  stop_ = true;
  ::eventfd_write(wake_, 1);
  thread_.join();
  ::close(listener_);
  ::close(wake_);
}

void Proxy::silence(bool on) {
  silent_ = on;
  ::eventfd_write(wake_, 1);
}

void Proxy::reset() {
  reset_ = true;
  ::eventfd_write(wake_, 1);
}

void Proxy::run() {
  // Signals are for the thread that tests.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  Links links;
  std::vector<pollfd> polled;
  while (!stop_) {
    if (reset_.exchange(false)) links.close_all(true);
    const bool silent = silent_;
    const auto before = Clock::now();
    polled.assign({{wake_, POLLIN, 0}});
    if (!silent) {
      polled.push_back({listener_, POLLIN, 0});
      links.watch(polled, before);
    }
    const auto until =
        silent ? before + std::chrono::seconds(1) : links.next(before + std::chrono::seconds(1));
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - before).count();
    ::poll(polled.data(), polled.size(), static_cast<int>(std::max<std::int64_t>(0, wait)));
    std::uint64_t woken = 0;
    if (polled[0].revents != 0) ::eventfd_read(wake_, &woken);
    if (silent || silent_) continue;
    const auto now = Clock::now();
    links.pass_on(polled.data() + 2, now, std::chrono::milliseconds(delay_ms_));
    if (polled[1].revents != 0) links.accept(listener_, server_port_);
  }
}

}  // namespace pgforeman::test
