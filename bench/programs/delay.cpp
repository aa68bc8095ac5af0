// A network in between: hands on what connections say, each direction late by the same time.
//
//   delay --socket PATH --one-way-us N    from a port of 127.0.0.1 to the unix socket PATH
//
// Says "ready PORT"; ends with its stdin. It has no limit of bandwidth and loses nothing.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support.h"

namespace {

constexpr std::size_t kRead = 256 << 10;
constexpr std::size_t kMostHeld = 16 << 20;  ///< more is not read: the sender then waits

struct Chunk {
  std::int64_t due;
  std::string bytes;  ///< empty: the end of this direction
};

/// One direction of a connection.
struct Way {
  int from = -1, to = -1;
  std::deque<Chunk> held;
  std::size_t size = 0;
  bool ended = false;    ///< nothing more comes
  bool over = false;     ///< and all of it was handed on
  bool blocked = false;  ///< `to` takes no more now

  bool reads() const { return !ended && size < kMostHeld; }

  void read(std::int64_t late_ns) {
    static std::string buffer(kRead, '\0');
    const auto count = ::recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    ended = count <= 0;
    const auto got = static_cast<std::size_t>(std::max<decltype(count)>(0, count));
    held.push_back({bench::now_ns() + late_ns, buffer.substr(0, got)});
    size += got;
  }

  /// Hands on what is due.
  void write(std::int64_t now) {
    while (!over && !held.empty() && held.front().due <= now) {
      std::string& bytes = held.front().bytes;
      if (bytes.empty()) {
        ::shutdown(to, SHUT_WR);
        over = true;
        return;
      }
      const auto count = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0) {
        blocked = errno == EAGAIN;
        ended = over = !blocked;  // the other side is gone
        return;
      }
      blocked = false;
      size -= static_cast<std::size_t>(count);
      bytes.erase(0, static_cast<std::size_t>(count));
      if (bytes.empty()) held.pop_front();
    }
  }
};

struct Connection {
  int client, server;
  Way there, back;

  Connection(int c, int s) : client(c), server(s) {
    there.from = back.to = c;
    there.to = back.from = s;
  }
  Connection(const Connection&) = delete;
  ~Connection() {
    ::close(client);
    ::close(server);
  }
  bool over() const { return there.over && back.over; }
};

int checked(int result, const char* what) {
  if (result < 0) {
    std::perror(what);
    std::_Exit(1);
  }
  return result;
}

int listen_somewhere() {
  const int listener = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  checked(::bind(listener, any, length), "bind");
  checked(::listen(listener, 1024), "listen");
  checked(::getsockname(listener, any, &length), "getsockname");
  std::cout << "ready " << ntohs(address.sin_port) << std::endl;
  return listener;
}

std::unique_ptr<Connection> accept_one(int listener, const std::string& path) {
  const int client = checked(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept");
  const int on = 1;
  ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int server = checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  checked(::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address), "connect");
  return std::make_unique<Connection>(client, server);
}

/// How long until something is due; -1 ns: not known.
std::int64_t until_due(const std::vector<std::unique_ptr<Connection>>& all) {
  std::int64_t first = INT64_MAX;
  for (const auto& each : all) {
    for (const Way* way : {&each->there, &each->back}) {
      if (!way->over && !way->blocked && !way->held.empty()) {
        first = std::min(first, way->held.front().due);
      }
    }
  }
  return first == INT64_MAX ? -1 : std::max<std::int64_t>(0, first - bench::now_ns());
}

short events(const Way& reads, const Way& writes) {
  return static_cast<short>((reads.reads() ? POLLIN : 0) | (writes.blocked ? POLLOUT : 0));
}

/// What to wait for: the listener, stdin, and of each connection both sides. poll() tells of a hang
/// up whether it was asked or not: a side that nothing is wanted of is left out.
std::vector<pollfd> watched(int listener, const std::vector<std::unique_ptr<Connection>>& all) {
  std::vector<pollfd> found = {{listener, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  for (const auto& each : all) {
    for (const auto& [fd, wanted] : {std::pair{each->client, events(each->there, each->back)},
                                     std::pair{each->server, events(each->back, each->there)}}) {
      found.push_back({wanted == 0 ? -1 : fd, wanted, 0});
    }
  }
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = bench::argument(argc, argv, "--socket", "");
  const std::int64_t late_ns =
      std::atoll(bench::argument(argc, argv, "--one-way-us", "0").c_str()) * 1000;
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  const int listener = listen_somewhere();
  std::vector<std::unique_ptr<Connection>> all;
  while (true) {
    auto fds = watched(listener, all);
    const std::int64_t wait = until_due(all);
    const timespec patience{wait / 1'000'000'000, wait % 1'000'000'000};
    if (::ppoll(fds.data(), fds.size(), wait < 0 ? nullptr : &patience, nullptr) < 0) return 1;
    if (fds[1].revents != 0) return 0;
    const std::int64_t now = bench::now_ns();
    for (std::size_t i = 0; i < all.size(); ++i) {
      Connection& each = *all[i];
      if (each.there.reads() && fds[2 + 2 * i].revents != 0) each.there.read(late_ns);
      if (each.back.reads() && fds[3 + 2 * i].revents != 0) each.back.read(late_ns);
      each.there.write(now);
      each.back.write(now);
    }
    std::erase_if(all, [](const auto& each) { return each->over(); });
    if (fds[0].revents != 0) all.push_back(accept_one(listener, path));
  }
}
