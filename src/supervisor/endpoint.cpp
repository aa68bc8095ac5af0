#include "supervisor/endpoint.h"

#include <cerrno>
#include <system_error>

#include "http/address.h"
#include "text/terminal_text.h"

namespace pgforeman {
namespace {

/// Returns an error text that names the setting to change.
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

HttpResponse verdict(bool good, const std::string& reason) {
  if (good) return {200, "ok"};
  return {503, reason.empty() ? "no reason given" : terminal_text(reason)};
}

/// A failing duty of maintenance does not keep the fleet from working, but is to be known.
HttpResponse readiness(const FleetView& fleet) {
  HttpResponse response = verdict(fleet.ready, fleet.not_ready_reason);
  for (const DutyView& duty : fleet.duties) {
    if (!duty.failing_seconds) continue;
    response.body += "\nmaintenance duty " + duty.name + " has failed for " +
                     std::to_string(static_cast<std::int64_t>(*duty.failing_seconds)) +
                     " s: " + terminal_text(duty.reason);
  }
  return response;
}

HttpRoutes routes_to(const Endpoint::View& view) {
  const auto route = [&](const char* path, HttpResponse (*answer)(const FleetView&)) {
    return HttpRoute{path, [view, answer](const HttpRequest&) { return answer(view()); }};
  };
  return {
      route("/livez",
            [](const FleetView& fleet) { return verdict(fleet.live, fleet.not_live_reason); }),
      route("/readyz", readiness),
      route("/status",
            [](const FleetView& fleet) {
              return HttpResponse{200, render_status(fleet), "application/json"};
            }),
      route("/metrics",
            [](const FleetView& fleet) {
              return HttpResponse{200, render_metrics(fleet),
                                  "text/plain; version=0.0.4; charset=utf-8"};
            }),
  };
}

}  // namespace

Endpoint::Endpoint(boost::asio::io_context& io, const std::string& address, std::uint16_t port,
                   const View& view) try
    : server_(io, address, port, routes_to(view)) {
} catch (const std::system_error& error) {
  const int number = error.code().value();
  throw std::system_error(error.code(), listen_advice(number, address, port));
}

}  // namespace pgforeman
