#pragma once
// "Did you mean ...?" for a name that is not known.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace pgforeman {

/// How many letters must be added, dropped, changed or swapped with their neighbour to turn `a`
/// into `b`; upper and lower case are alike, as are `-` and `_`.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate closest to `name`; empty when none is close enough to be what was meant.
std::string nearest(std::string_view name, std::span<const std::string> candidates);

/// "; did you mean CANDIDATE?" or nothing.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

}  // namespace pgforeman
