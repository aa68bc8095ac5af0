#pragma once
// Makes text from payloads, handlers, servers and command lines safe for a terminal. The result
// cannot move the cursor, change a title, fake a line or reverse the direction of text. Pure.
//
// Control characters here are U+0000 to U+001F and U+007F to U+009F, the line separators U+2028 and
// U+2029, and the bidirectional marks (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069).
// Invalid UTF-8 is replaced, too: the byte 0x9B alone starts a sequence in some terminals.

#include <cstddef>
#include <string>
#include <string_view>

namespace pgforeman {

/// Returns one line: ASCII control characters become blanks, others and invalid bytes U+FFFD.
std::string terminal_text(std::string_view text);

/// True if terminal_text would change nothing.
bool is_terminal_safe(std::string_view text);

/// Returns the same JSON document: control characters in strings become \u escapes, line ends and
/// tabs between tokens become blanks, invalid bytes become U+FFFD.
std::string terminal_json(std::string_view json);

/// Returns the length of the first character in bytes; 0 if it is a control character or invalid.
std::size_t safe_character(std::string_view text);

}  // namespace pgforeman
