#pragma once
// Splits a command line as a shell would: blanks separate words, and quotes and backslashes keep
// blanks inside a word. Expands nothing: variables, globs, pipes and comments stay as they are.

#include <string>
#include <string_view>
#include <vector>

#include "text/parsed.h"

namespace pgforeman {

/// Splits `text`. Refuses an unfinished quote and a backslash at the very end. Returns an empty
/// list if there are no words. '' is an empty word; 'a'b"c" is one word.
Parsed<std::vector<std::string>> split_words(std::string_view text);

}  // namespace pgforeman
