#pragma once
// The fleet's HTTP endpoint: /livez /readyz /status /metrics, answered from memory in the
// supervisor's loop. Fork: before; a child must never touch it (a child closes its descriptors).

#include <functional>
#include <string>

#include "http/server.h"
#include "supervisor/fleet_view.h"

namespace pgforeman {

class Endpoint {
 public:
  using View = std::function<FleetView()>;

  /// Binds and listens at once, as HttpServer does. Throws std::system_error, which names the
  /// setting, if that fails.
  Endpoint(boost::asio::io_context& io, const std::string& address, std::uint16_t port,
           const View& view);

  std::uint16_t port() const { return server_.port(); }

 private:
  HttpServer server_;
};

/// Return the bodies of /status (one JSON object) and /metrics (Prometheus text). Pure.
std::string render_status(const FleetView& view);
std::string render_metrics(const FleetView& view);

}  // namespace pgforeman
