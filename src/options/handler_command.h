#pragma once
// Finds and checks the handler's command before anything is forked. A mistake in it is then an
// error at the start, and not a failure of each child.

#include <string>
#include <string_view>
#include <vector>

#include "text/parsed.h"

namespace pgforeman {

/// Splits `command` into words and replaces the first by the path of the executable. A first word
/// with a slash is a path already; any other is searched in `search_path` (as in $PATH). Checks
/// what exec checks: existence, file type, permission, a script's #! line. Problems name the
/// program.
Parsed<std::vector<std::string>> resolve_handler(std::string_view command,
                                                 std::string_view search_path);

/// Returns the first part of `command` that only a shell understands: a single `|`, the `#` of a
/// comment, `$HOME`, `~/`. Empty if there is none, or if `command` itself starts a shell.
std::string shell_syntax_in(std::string_view command);

}  // namespace pgforeman
