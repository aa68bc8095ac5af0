#pragma once
// Names of the priorities, most urgent first; the index is the priority's number. Pure.

#include <array>
#include <string_view>

namespace pgforeman {

inline constexpr std::array<std::string_view, 4> kPriorities = {"urgent", "high", "normal", "low"};

inline std::string_view priority_name(int priority) {
  return priority >= 0 && priority < 4 ? kPriorities[static_cast<std::size_t>(priority)] : "?";
}

}  // namespace pgforeman
