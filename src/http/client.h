#pragma once
// A small blocking HTTP/1.1 GET with a deadline, for the commands that ask a running fleet. Not for
// the fleet itself: it blocks. Fork: either. No proxy, no redirects, no TLS, no name lookup.

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

/// Nothing answered, or not in HTTP. The text names address and port, and why.
class HttpGetError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The addresses to connect to, one after the other, for a server that listens on `listen_address`:
/// loopback for any-address, and for "::", which serves both families, that of both.
std::vector<std::string> connectable_addresses(const std::string& listen_address);

/// Asks the first of `addresses` (literal IPv4 or IPv6 ones, at least one) that accepts a
/// connection for `target`. `timeout` covers everything from connecting to the last byte. Throws
/// HttpGetError.
HttpAnswer http_get(const std::vector<std::string>& addresses, std::uint16_t port,
                    const std::string& target, Millis timeout);

}  // namespace pgforeman
