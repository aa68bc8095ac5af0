#pragma once
// A small HTTP/1.1 GET with a deadline, for commands that query a running fleet. It blocks, so the
// fleet itself must not use it. Fork: either. No proxy, no redirects, no TLS, no name lookup.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "system/clock.h"

namespace pgforeman {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

/// No answer, or no valid HTTP answer. The text names address, port and reason.
class HttpGetError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Returns the addresses to try, in order, for a server that listens on `listen_address`. For an
/// any-address this is loopback; for "::", which serves both families, loopback of both.
std::vector<std::string> connectable_addresses(const std::string& listen_address);

/// Gets `target` from the first of `addresses` that accepts a connection. `addresses` holds one or
/// more literal IPv4 or IPv6 addresses. `timeout` is for everything from connecting to the last
/// byte. Throws HttpGetError.
HttpAnswer http_get(const std::vector<std::string>& addresses, std::uint16_t port,
                    const std::string& target, Millis timeout);

}  // namespace pgforeman
