#pragma once
// Finds the known name that an unknown one resembles, for "did you mean ...?".

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace pgforeman {

/// Number of letters to add, drop, change or swap with their neighbour to turn `a` into `b`.
/// Ignores the difference between upper and lower case, and between `-` and `_`.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// Returns the candidate closest to `name`; empty if none is similar enough.
std::string nearest(std::string_view name, std::span<const std::string> candidates);

/// Returns "; did you mean CANDIDATE?" or an empty text.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

}  // namespace pgforeman
