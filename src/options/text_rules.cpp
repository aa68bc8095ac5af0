#include "options/text_rules.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <string>

namespace pgforeman {

bool is_queue_name(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("_.:-").find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), allowed);
}

bool is_address(std::string_view text) {
  const std::string copy(text);
  std::array<unsigned char, 16> bytes{};
  return copy.find('\0') == std::string::npos &&
         (::inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1 ||
          ::inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1);
}

bool is_path(std::string_view text) {
  // A URL where a path belongs is a database's, put into the wrong variable.
  return !text.empty() && text.find('\0') == std::string_view::npos &&
         text.find("://") == std::string_view::npos;
}

}  // namespace pgforeman
