#pragma once
// The handler's command line, found and checked before anything is forked: a mistake in it is then
// a start-up error, and not a fleet of children that fail one by one.

#include <string>
#include <string_view>
#include <vector>

#include "base/parsed.h"

namespace pgforeman {

/// Splits `command` into words and replaces the first by the path of the executable. A word with a
/// slash is a path already; any other is looked up in `search_path` (as in $PATH). The problem
/// names the program. Checks what exec would: existence, kind, permission, and of a script its #!
/// line.
Parsed<std::vector<std::string>> resolve_handler(std::string_view command,
                                                 std::string_view search_path);

/// A word of `argv` that only a shell would understand, such as a lone `|`; empty when there is
/// none.
std::string shell_operator_in(const std::vector<std::string>& argv);

}  // namespace pgforeman
