#pragma once
// The bounds of the contract with handlers; docs/handlers.md prints them.

#include <cstddef>

#include "system/clock.h"

namespace pgforeman {

inline constexpr std::size_t kResultBytes = 4096;      ///< of stdout, or of a jsonl "result"
inline constexpr std::size_t kStderrTailBytes = 2048;  ///< of stderr, as part of the error
inline constexpr std::size_t kErrorBytes = 4096;       ///< of a jsonl "error"
inline constexpr std::size_t kAnswerBytes =
    std::size_t{1024} * 1024;  ///< of one jsonl line from the handler
/// Linux refuses to start a program with a variable over 128 KiB: such headers are left out.
inline constexpr std::size_t kHeadersVariableBytes = std::size_t{64} * 1024;
/// A retry later than this is a mistake of the handler, not a plan.
inline constexpr Millis kLongestAfter = std::chrono::hours(24 * 366);

}  // namespace pgforeman
