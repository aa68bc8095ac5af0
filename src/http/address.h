#pragma once
// Formats an address and a port as text. Pure. Fork: either.

#include <cstdint>
#include <string>

namespace pgforeman {

/// Returns "127.0.0.1:8080" or "[::1]:8080".
inline std::string address_and_port(const std::string& literal, std::uint16_t port) {
  const bool v6 = literal.find(':') != std::string::npos;
  return (v6 ? "[" + literal + "]" : literal) + ":" + std::to_string(port);
}

}  // namespace pgforeman
