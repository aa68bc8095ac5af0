#pragma once
// A literal IP address and port as the socket calls want it. No resolver: nothing here looks a name
// up, starts a thread or blocks. Fork: either.

#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace pgforeman {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// Throws std::system_error (EINVAL), naming the address, when `literal` is no IPv4 or IPv6
/// address.
SocketAddress make_socket_address(const std::string& literal, std::uint16_t port);

/// "127.0.0.1:8080", "[::1]:8080".
std::string address_and_port(const std::string& literal, std::uint16_t port);

}  // namespace pgforeman
