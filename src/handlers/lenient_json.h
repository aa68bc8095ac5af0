#pragma once
// Repairs common violations of the JSON standard that have a clear meaning. Pure.

#include <string>
#include <string_view>

namespace pgforeman {

/// Returns `line` with the fewest changes that a strict parser needs. Invalid UTF-8 and lone
/// surrogates become U+FFFD. Control characters are escaped inside strings and dropped outside. A
/// comma before a closing bracket is dropped; a backslash that escapes nothing is kept as text. A
/// bare word or number that JSON does not know (NaN, -Infinity, 1e999, None) becomes a string.
/// Linear time. Errors without a clear meaning, such as a string without an end, stay.
std::string mend_json(std::string_view line);

}  // namespace pgforeman
