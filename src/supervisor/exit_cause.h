#pragma once
// Why a child ended: the `cause` label of pgforeman_child_exits_total.

#include <array>
#include <string_view>

namespace pgforeman {

enum class ExitCause {
  drained,
  recycled,
  exit_code,
  signal,
  core,
  out_of_memory,
  deadline,
  shutdown
};
inline constexpr std::array kExitCauses = {
    ExitCause::drained, ExitCause::recycled,      ExitCause::exit_code, ExitCause::signal,
    ExitCause::core,    ExitCause::out_of_memory, ExitCause::deadline,  ExitCause::shutdown};

constexpr std::string_view to_string(ExitCause cause) {
  switch (cause) {
    case ExitCause::drained:
      return "drained";
    case ExitCause::recycled:
      return "recycled";
    case ExitCause::exit_code:
      return "exit_code";
    case ExitCause::signal:
      return "signal";
    case ExitCause::core:
      return "core";
    case ExitCause::out_of_memory:
      return "out_of_memory";
    case ExitCause::deadline:
      return "deadline";
    case ExitCause::shutdown:
      return "shutdown";
  }
  return "unknown";
}

}  // namespace pgforeman
