#pragma once
// An HTTP/1.x server in its owner's event loop: it never blocks and needs no thread. Fork: before;
// a child must never use it (its descriptors are closed there).
//
// Connections, sizes and times are bounded; the oldest connection is evicted if there are too many.
// If the process has no descriptor left, spare ones are closed to go on accepting.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "http/router.h"
#include "system/clock.h"

namespace pgforeman {

struct HttpLimits {
  std::uint32_t header_bytes = 8192;    ///< request line and fields; a probe needs about 150
  std::uint32_t body_bytes = 64 << 10;  ///< of a request to a route that takes a body
  Millis request{5000};                 ///< from connecting, or from a later request's first byte
  Millis write{5000};                   ///< for one answer
  Millis idle{75'000};                  ///< between requests; more than a scrape interval
  Millis linger{1000};                  ///< for the peer to close after the last answer
  std::size_t linger_bytes = 1u << 20;  ///< read and discarded during `linger`
};

class HttpServer {
 public:
  /// Binds and listens at once. `address` is a literal IPv4 or IPv6 address. "::" serves both, or
  /// only IPv4 on a host without IPv6. Port 0 takes any free port. Throws std::system_error.
  HttpServer(boost::asio::io_context& io, const std::string& address, std::uint16_t port,
             HttpRoutes routes, const HttpLimits& limits = {});
  ~HttpServer();  ///< closes every connection at once

  std::uint16_t port() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace pgforeman
