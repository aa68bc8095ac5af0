#include "base/socket_address.h"

#include <netdb.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace pgforeman {

SocketAddress make_socket_address(const std::string& literal, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string service = std::to_string(port);
  // Numeric only, so it neither asks a name server nor loads one's library; unlike inet_pton it
  // knows the zone of a link-local address (fe80::1%eth0).
  if (::getaddrinfo(literal.c_str(), service.c_str(), &hints, &found) != 0 || found == nullptr) {
    throw std::system_error(EINVAL, std::generic_category(),
                            "'" + literal + "' is not an IPv4 or IPv6 address");
  }
  SocketAddress address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  return address;
}

std::string address_and_port(const std::string& literal, std::uint16_t port) {
  const bool v6 = literal.find(':') != std::string::npos;
  return (v6 ? "[" + literal + "]" : literal) + ":" + std::to_string(port);
}

}  // namespace pgforeman
