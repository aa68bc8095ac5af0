#pragma once
// JSON as real printers write it: what the standard forbids, but has a plain meaning. Pure.

#include <string>
#include <string_view>

namespace pgforeman {

/// `line` changed as little as a strict parser needs. Bytes that are no UTF-8 and lone surrogates
/// become U+FFFD. Control characters inside strings are escaped, and dropped outside. A comma
/// before a closing bracket goes; a backslash that escapes nothing is kept as text. A bare word or
/// number that JSON does not know (NaN, -Infinity, 1e999, None) becomes a string. Linear; what has
/// no meaning (a string without end, say) stays wrong.
std::string mend_json(std::string_view line);

}  // namespace pgforeman
