#pragma once
// The limits of the contract with handlers; docs/handlers.md lists them.

#include <cstddef>

#include "system/clock.h"

namespace pgforeman {

inline constexpr std::size_t kResultBytes = 4096;      ///< kept of stdout, or of a jsonl "result"
inline constexpr std::size_t kStderrTailBytes = 2048;  ///< kept of stderr, as part of the error
inline constexpr std::size_t kErrorBytes = 4096;       ///< kept of a jsonl "error"
inline constexpr std::size_t kAnswerBytes =
    std::size_t{1024} * 1024;  ///< kept of one jsonl line from the handler
/// Longer headers are left out: Linux does not start a program with a variable over 128 KiB.
inline constexpr std::size_t kHeadersVariableBytes = std::size_t{64} * 1024;
/// The longest "after" of a retry; a longer one counts as a mistake of the handler.
inline constexpr Millis kLongestAfter = std::chrono::hours(24 * 366);

}  // namespace pgforeman
