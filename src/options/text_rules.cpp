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

bool may_hold_password(std::string_view value) {
  if (value.find("://") != std::string_view::npos) return true;
  constexpr std::string_view kWord = "password";
  const auto same = [](char a, char b) { return (a | 0x20) == b; };
  for (auto at = value.begin();; ++at) {
    at = std::search(at, value.end(), kWord.begin(), kWord.end(), same);
    if (at == value.end()) return false;
    const auto next = std::find_if(at + static_cast<std::ptrdiff_t>(kWord.size()), value.end(),
                                   [](char c) { return c != ' '; });
    if (next != value.end() && *next == '=') return true;
  }
}

}  // namespace pgforeman
