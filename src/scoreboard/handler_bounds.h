#pragma once
// The buckets of the handler-time histogram, shared by consumers and metrics.

#include <array>

namespace pgforeman {

/// Upper bounds in seconds; one more bucket, +Inf, follows the last.
inline constexpr std::array<double, 14> kHandlerSecondsBounds = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600};
inline constexpr std::size_t kHandlerBuckets = kHandlerSecondsBounds.size() + 1;

}  // namespace pgforeman
