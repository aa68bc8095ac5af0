#pragma once
// A command line in one string, split as a shell would: blanks separate words, single quotes,
// double quotes and backslashes keep them together. Nothing is expanded: no variables, no globs,
// no pipes, no comments.

#include <string>
#include <string_view>
#include <vector>

#include "text/parsed.h"

namespace pgforeman {

/// Splits `text`. An unfinished quote and a backslash at the very end are problems; no words at all
/// are an empty list. Quotes may be empty ('' is an empty word) and touch ('a'b"c" is one word).
Parsed<std::vector<std::string>> split_words(std::string_view text);

}  // namespace pgforeman
