#pragma once
// What a handler printed, made fit for a PostgreSQL text column and for a person. Pure.

#include <cstddef>
#include <string>
#include <string_view>

#include "system/clock.h"
#include "text/utf8.h"

namespace pgforeman {

/// Valid UTF-8 without NUL: every byte that belongs to no character becomes U+FFFD.
std::string clean_text(std::string_view raw);

/// The last `limit` bytes of valid UTF-8 or less, from the start of a line where there is one.
std::string_view last_lines(std::string_view text, std::size_t limit);

/// Makes JSON one line: its line ends are white space between tokens, as strings hold none.
void join_json_lines(std::string& json);

/// Without white space at its end.
std::string_view trim_end(std::string_view text);

/// `"the first bytes..."`: clean, quoted, short, for naming garbage in an error.
std::string excerpt(std::string_view raw);

/// Seconds as a decimal number: "5", "0.25".
std::string decimal_seconds(Millis duration);

}  // namespace pgforeman
