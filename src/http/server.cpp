#include "http/server.h"

#include <sys/eventfd.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/ip/v6_only.hpp>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "http/session.h"
#include "system/fd.h"

namespace pgforeman {

namespace beast = boost::beast;
namespace net = boost::asio;
using net::ip::tcp;

namespace {

// A probe and a few scrapers need about five connections; slow clients may hold the others.
constexpr rlim_t kMaxConnections = 512, kMinConnections = 16;
// Spare descriptors that are closed if the process has no other left. So many probes at a time can
// still be answered.
constexpr std::size_t kReserve = 8;
constexpr int kBacklog = 4096;  // the kernel lowers it to net.core.somaxconn
constexpr Millis kAcceptPause{50};

/// Returns at most half of the descriptor limit: forks and the owner's pipes need the rest.
std::size_t connection_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return std::clamp(limit.rlim_cur / 2, kMinConnections, kMaxConnections);
}

tcp::acceptor listen_on(net::io_context& io, const std::string& address, std::uint16_t port) try {
  tcp::endpoint at(net::ip::make_address(address), port);
  if (address == "::") {
    // IPv6 may be missing in the kernel, forbidden by a sandbox or disabled (disable_ipv6).
    tcp::socket probe(io);
    beast::error_code missing;
    probe.open(tcp::v6(), missing);
    if (!missing) probe.bind({tcp::v6(), 0}, missing);
    if (missing) at = {tcp::v4(), port};
  }
  tcp::acceptor acceptor(io, at.protocol());
  // Lets a restarted server bind its port at once, in spite of old connections in TIME_WAIT.
  acceptor.set_option(tcp::acceptor::reuse_address(true));
  // Makes "::" serve IPv4 too, whatever the host's default is.
  if (at.address().is_v6()) acceptor.set_option(net::ip::v6_only(false));
  acceptor.bind(at);
  acceptor.listen(kBacklog);
  acceptor.non_blocking(true);
  // Without this asio blocks until the next connection if one was aborted in the queue.
  acceptor.set_option(tcp::acceptor::enable_connection_aborted(true));
  return acceptor;
} catch (const boost::system::system_error& error) {
  throw std::system_error(error.code().value(), std::generic_category());
}

bool is_one_of(const beast::error_code& error, std::initializer_list<int> numbers) {
  return std::find(numbers.begin(), numbers.end(), error.value()) != numbers.end();
}

}  // namespace

class HttpServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(tcp::acceptor acceptor, HttpRoutes routes, const HttpLimits& limits)
      : acceptor_(std::move(acceptor)),
        pause_(acceptor_.get_executor()),
        sessions_{std::move(routes), limits} {
    refill_reserve();
  }

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  void wait_for_connection() {
    acceptor_.async_wait(tcp::acceptor::wait_read,
                         [self = shared_from_this()](const beast::error_code& error) {
                           if (!self->stopped_) self->accept(error);
                         });
  }

  void stop() noexcept {
    stopped_ = true;
    beast::error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    while (evict_oldest()) continue;
    reserve_.clear();
  }

 private:
  /// Accepts one connection a turn, so that signals, children and open connections are served too.
  void accept(beast::error_code error) noexcept {
    try {
      // Tries again after make_room(): another process may take the freed descriptor.
      for (int tries = 0; !error && tries < 3; ++tries) {
        tcp::socket socket = acceptor_.accept(error);
        if (!error) {
          if (sessions_.by_age.size() >= limit_) evict_oldest();
          std::make_shared<HttpSession>(std::move(socket), sessions_)->start();
          if (tries == 0) refill_reserve();
          break;
        }
        const bool exhausted = is_one_of(error, {EMFILE, ENFILE, ENOBUFS, ENOMEM});
        if (exhausted && make_room()) error = {};
      }
      // These errors need no pause, as a failed connection has left the queue; others might spin.
      if (!error || is_one_of(error, {EAGAIN, EINTR, ECONNABORTED, EPROTO})) {
        return wait_for_connection();
      }
    } catch (const std::exception&) {
      // Pauses below, as after an error.
    }
    // If even a timer fails, noexcept ends the process: a restart is better than a server that
    // never accepts again.
    pause_.expires_after(kAcceptPause);
    pause_.async_wait([self = shared_from_this()](const beast::error_code& cancelled) {
      if (!cancelled && !self->stopped_) self->accept({});
    });
  }

  bool make_room() {
    if (reserve_.empty()) return evict_oldest();  // proves: P40
    reserve_.pop_back();
    return true;
  }

  bool evict_oldest() noexcept {
    if (sessions_.by_age.empty()) return false;
    sessions_.by_age.front()->close();
    return true;
  }

  void refill_reserve() {
    while (reserve_.size() < kReserve) {
      UniqueFd spare(::eventfd(0, EFD_CLOEXEC));
      if (!spare) return;
      reserve_.push_back(std::move(spare));
    }
  }

  tcp::acceptor acceptor_;
  net::steady_timer pause_;
  HttpSessions sessions_;
  const std::size_t limit_ = connection_limit();
  bool stopped_ = false;
  std::vector<UniqueFd> reserve_;
};

HttpServer::HttpServer(net::io_context& io, const std::string& address, std::uint16_t port,
                       HttpRoutes routes, const HttpLimits& limits)
    : impl_(std::make_shared<Impl>(listen_on(io, address, port), std::move(routes), limits)) {
  impl_->wait_for_connection();
}

HttpServer::~HttpServer() {
  impl_->stop();
}

std::uint16_t HttpServer::port() const {
  return impl_->port();
}

}  // namespace pgforeman
