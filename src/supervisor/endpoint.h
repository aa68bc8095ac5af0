#pragma once
// The fleet's HTTP endpoint: /livez /readyz /status /metrics, answered from memory in the
// supervisor's own loop. Fork: before; a child must never touch it (its descriptors are closed
// there).
//
// Bounded: connections (the oldest idle one is evicted), header size, time per request; a reserve
// descriptor keeps accepting at EMFILE.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "supervisor/fleet_view.h"

namespace pgforeman {

class Endpoint {
 public:
  using View = std::function<FleetView()>;

  /// Binds and listens at once. `address` is a literal IPv4 or IPv6 address (checked before).
  /// "::" is IPv4 and IPv6; where there is no IPv6, IPv4 alone. Port 0: any free one. Throws
  /// std::system_error, which names the settings, when it cannot be bound.
  Endpoint(boost::asio::io_context& io, const std::string& address, std::uint16_t port, View view);
  ~Endpoint();

  std::uint16_t port() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

/// The bodies, pure. /status is one JSON object, /metrics is Prometheus text.
std::string render_status(const FleetView& view);
std::string render_metrics(const FleetView& view);

}  // namespace pgforeman
