#pragma once
// The help about options, from their table. Pure.

#include <cstddef>
#include <string>
#include <string_view>

#include "options/table.h"

namespace pgforeman {

/// Returns the options in `pgforeman COMMAND --help`: a paragraph each, or a line or two if
/// `brief`.
std::string options_help(Command command, bool brief = false);

/// Returns "5m", "none" or "the CPUs ...".
std::string_view default_of(const Option& option);

/// Returns "Allowed: 10ms to 1h. Default: 5m."
std::string allowed_and_default(const Option& option);

/// Breaks `text` at blanks into lines of at most `width` characters, including `indent`. A longer
/// word gets a line of its own.
std::string wrapped(std::string_view text, std::string_view indent, std::size_t width);

}  // namespace pgforeman
