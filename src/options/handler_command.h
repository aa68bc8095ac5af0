#pragma once
// The handler's command line, found and checked before anything is forked: a mistake in it is then
// a start-up error, and not a fleet of children that fail one by one.

#include <string>
#include <string_view>
#include <vector>

#include "text/parsed.h"

namespace pgforeman {

/// Splits `command` into words and replaces the first by the path of the executable. A word with a
/// slash is a path already; any other is looked up in `search_path` (as in $PATH). The problem
/// names the program. Checks what exec would: existence, kind, permission, and of a script its #!
/// line.
Parsed<std::vector<std::string>> resolve_handler(std::string_view command,
                                                 std::string_view search_path);

/// What of `command` only a shell would understand: a lone `|`, a comment's `#`, `$HOME`, `~/`.
/// Empty when there is nothing, or when it starts a shell that reads it.
std::string shell_syntax_in(std::string_view command);

}  // namespace pgforeman
