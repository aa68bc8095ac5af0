#pragma once
// Makes a handler's output fit for a PostgreSQL text column and readable in an error. Pure.

#include <cstddef>
#include <string>
#include <string_view>

#include "system/clock.h"
#include "text/utf8.h"

namespace pgforeman {

/// Returns `raw` as valid UTF-8 without NUL: NUL and every invalid byte become U+FFFD.
std::string clean_text(std::string_view raw);

/// Returns at most the last `limit` bytes of valid UTF-8, from the start of a line if there is one.
std::string_view last_lines(std::string_view text, std::size_t limit);

/// Replaces line ends in JSON by blanks. The value stays, as JSON strings hold no raw line ends.
void join_json_lines(std::string& json);

/// Returns `text` without white space at its end.
std::string_view trim_end(std::string_view text);

/// Returns `"the first bytes..."`: clean, quoted and short, to show invalid output in an error.
std::string excerpt(std::string_view raw);

/// Returns the seconds as a decimal number: "5", "0.25".
std::string decimal_seconds(Millis duration);

}  // namespace pgforeman
