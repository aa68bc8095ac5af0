#pragma once
// A small blocking HTTP/1.1 GET with a deadline, for the commands that ask a running fleet. Not for
// the fleet itself: it blocks. Fork: either. No proxy, no redirects, no TLS, no name lookup.

#include <cstdint>
#include <stdexcept>
#include <string>

#include "base/clock.h"

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

/// The address to connect to for a server that listens on `listen_address`: any-address becomes
/// loopback of the same family.
std::string connectable_address(const std::string& listen_address);

/// Asks `address` (a literal IPv4 or IPv6 address) for `target`. `timeout` covers everything from
/// connecting to the last byte. Throws HttpGetError.
HttpAnswer http_get(const std::string& address, std::uint16_t port, const std::string& target,
                    Millis timeout);

}  // namespace pgforeman
