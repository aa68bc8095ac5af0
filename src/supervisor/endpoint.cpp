#include "supervisor/endpoint.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <list>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "base/socket_address.h"
#include "base/terminal_text.h"
#include "supervisor/http_session.h"

namespace pgforeman {
namespace {

// A probe and a few scrapers need a handful; the rest is room for clients that dawdle.
constexpr std::size_t kMaxConnections = 512;
constexpr std::size_t kMinConnections = 16;
// Kept open to be given up when the process has no other descriptor left: so many probes can still
// be answered at once.
constexpr std::size_t kReserve = 8;
// New connections a turn; then signals, children and those already connected get theirs.
constexpr int kAcceptsPerTurn = 16;
constexpr int kBacklog = 4096;  // the kernel lowers it to net.core.somaxconn
constexpr Millis kAcceptPause{50};

/// Half of the descriptors at most: forking and the fleet's own pipes must not starve.
std::size_t connection_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return kMaxConnections;
  }
  return std::clamp<std::size_t>(limit.rlim_cur / 2, kMinConnections, kMaxConnections);
}

constexpr std::string_view kAnyAddress = "::";  // IPv4 and IPv6
constexpr const char* kAnyIpv4 = "0.0.0.0";

/// What to do about it, by the names of the settings.
std::string listen_advice(int error, const std::string& address, std::uint16_t port) {
  const std::string place = ": cannot listen on " + address_and_port(address, port);
  if (error == EADDRNOTAVAIL) {
    return "PGFOREMAN_HEALTH_ADDRESS=" + address + place + " (this host does not have the address)";
  }
  const std::string setting = "PGFOREMAN_HEALTH_PORT=" + std::to_string(port) + place;
  if (error == EADDRINUSE) {
    return setting + " (another process has the port; PGFOREMAN_HEALTH_PORT=0 takes any free one)";
  }
  return setting + (error == EACCES ? " (ports below 1024 need a right; take one above)" : "");
}

/// True where IPv6 cannot be had at all: the kernel lacks it, or a sandbox forbids it.
bool lacks_ipv6() {
  const UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return !fd && errno != EMFILE && errno != ENFILE;
}

UniqueFd listen_on(const std::string& address, std::uint16_t port) {
  const SocketAddress at = make_socket_address(address, port);
  const auto fail = [&] {
    const int error = errno;
    throw std::system_error(error, std::generic_category(), listen_advice(error, address, port));
  };
  UniqueFd fd(::socket(at.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) fail();
  // A restarted fleet takes its port back at once, whatever its predecessor left in TIME_WAIT.
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (at.family() == AF_INET6) {
    const int off = 0;  // "::" serves IPv4 too, however the host is configured
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (::bind(fd.get(), at.get(), at.size) != 0) {
    // IPv6 may be there and be switched off (net.ipv6.conf.all.disable_ipv6).
    if (errno == EADDRNOTAVAIL && address == kAnyAddress) return listen_on(kAnyIpv4, port);
    fail();
  }
  if (::listen(fd.get(), kBacklog) != 0) fail();
  return fd;
}

UniqueFd listen_anywhere(const std::string& address, std::uint16_t port) {
  return listen_on(address == kAnyAddress && lacks_ipv6() ? kAnyIpv4 : address, port);
}

std::uint16_t bound_port(int fd) {
  SocketAddress at;
  at.size = sizeof at.storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&at.storage), &at.size) != 0) return 0;
  return ntohs(at.family() == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&at.storage)->sin6_port
                                       : reinterpret_cast<sockaddr_in*>(&at.storage)->sin_port);
}

/// The path of a request target: no query, and no scheme and host where a proxy's form is used.
std::string_view path_of(std::string_view target) {
  constexpr std::string_view scheme = "http://";
  if (target.substr(0, scheme.size()) == scheme) {
    const auto slash = target.find('/', scheme.size());
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  return target.substr(0, target.find_first_of("?#"));
}

HttpResponse verdict(bool good, const std::string& reason) {
  if (good) return text_response(200, "ok");
  return text_response(503, reason.empty() ? "no reason given" : terminal_text(reason));
}

HttpResponse route(const HttpRequest& request, const Endpoint::View& view) {
  const std::string_view path = path_of(request.target);
  const bool known =
      path == "/livez" || path == "/readyz" || path == "/status" || path == "/metrics";
  if (!known) {
    return text_response(404, "no such path; there are /livez, /readyz, /status and /metrics");
  }
  if (request.method != "GET" && request.method != "HEAD") {
    HttpResponse refusal = text_response(405, "only GET and HEAD are answered here");
    refusal.allow = "GET, HEAD";
    return refusal;
  }
  const FleetView fleet = view();
  if (path == "/livez") return verdict(fleet.live, fleet.not_live_reason);
  if (path == "/readyz") return verdict(fleet.ready, fleet.not_ready_reason);
  if (path == "/status") return {200, "application/json", render_status(fleet), {}};
  return {200, "text/plain; version=0.0.4; charset=utf-8", render_metrics(fleet), {}};
}

}  // namespace

class Endpoint::Impl final : public HttpSession::Owner, public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, UniqueFd listener, View view)
      : io_(io), listener_(io), pause_(io), view_(std::move(view)), limit_(connection_limit()) {
    port_ = bound_port(listener.get());
    listener_.assign(listener.get());
    listener.release();
    refill_reserve();
  }

  std::uint16_t port() const { return port_; }

  void wait_for_connections() {
    listener_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           if (self->stopped_) return;
                           if (error) {
                             self->pause();
                           } else {
                             self->accept_some();
                           }
                         });
  }

  void stop() noexcept {
    stopped_ = true;
    boost::system::error_code ignored;
    listener_.close(ignored);
    try {
      pause_.cancel();
    } catch (const std::exception&) {
      // Then it fires and finds the endpoint stopped.
    }
    while (!by_age_.empty()) evict_oldest();
    reserve_.clear();
  }

  HttpResponse respond(const HttpRequest& request) override { return route(request, view_); }

  void on_answered(HttpSession& session) override {
    const auto found = places_.find(&session);
    if (found != places_.end()) by_age_.splice(by_age_.end(), by_age_, found->second);
  }

  void on_closed(HttpSession& session) override {
    const auto found = places_.find(&session);
    if (found == places_.end()) return;
    by_age_.erase(found->second);
    places_.erase(found);
    if (!stopped_ && !needs_room_) refill_reserve();
  }

 private:
  void accept_some() noexcept {
    try {
      int made_room = 0;
      for (int i = 0; i < kAcceptsPerTurn; ++i) {
        UniqueFd fd(
            ::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (fd) {
          made_room = 0;
          admit(std::move(fd));
          continue;
        }
        if (errno == EAGAIN) break;
        const bool exhausted =
            errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        if (!exhausted) {
          // A connection that died in the queue (ECONNABORTED, or its network's error) is gone from
          // the queue; anything else must not become a spin.
          if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
          return pause();
        }
        // The kernel looks for a descriptor before it looks for a connection.
        if (!connection_waits()) break;
        // Twice in vain: the room made is taken by somebody else, or it is not ours to make.
        if (++made_room > 2 || !make_room()) return pause();
      }
      wait_for_connections();
    } catch (const std::exception&) {
      pause();
    }
  }

  bool connection_waits() {
    pollfd wanted{listener_.native_handle(), POLLIN, 0};
    return ::poll(&wanted, 1, 0) > 0;
  }

  bool make_room() {
    if (!reserve_.empty()) {
      reserve_.pop_back();
      return true;
    }
    if (by_age_.empty()) return false;
    needs_room_ = true;
    evict_oldest();  // proves: P40
    needs_room_ = false;
    return true;
  }

  void admit(UniqueFd fd) {
    if (by_age_.size() >= limit_) evict_oldest();
    const auto session = std::make_shared<HttpSession>(io_, std::move(fd), *this);
    by_age_.push_back(session);
    places_.emplace(session.get(), std::prev(by_age_.end()));
    session->start();
  }

  void evict_oldest() noexcept {
    const auto session = by_age_.front();
    session->close();
  }

  void refill_reserve() {
    while (reserve_.size() < kReserve) {
      UniqueFd spare(::eventfd(0, EFD_CLOEXEC));
      if (!spare) return;
      reserve_.push_back(std::move(spare));
    }
  }

  /// After an error that a retry at once would only repeat. Where not even a timer can be had the
  /// process ends: a restart helps, an endpoint that is deaf for ever does not.
  void pause() noexcept {
    pause_.expires_after(kAcceptPause);
    pause_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && !self->stopped_) self->accept_some();
    });
  }

  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor listener_;
  boost::asio::steady_timer pause_;
  View view_;
  std::size_t limit_;
  std::uint16_t port_ = 0;
  bool stopped_ = false;
  bool needs_room_ = false;
  std::list<std::shared_ptr<HttpSession>> by_age_;  ///< since connecting or the last answer
  std::unordered_map<HttpSession*, std::list<std::shared_ptr<HttpSession>>::iterator> places_;
  std::vector<UniqueFd> reserve_;
};

Endpoint::Endpoint(boost::asio::io_context& io, const std::string& address, std::uint16_t port,
                   View view)
    : impl_(std::make_shared<Impl>(io, listen_anywhere(address, port), std::move(view))) {
  impl_->wait_for_connections();
}

Endpoint::~Endpoint() {
  impl_->stop();
}

std::uint16_t Endpoint::port() const {
  return impl_->port();
}

}  // namespace pgforeman
