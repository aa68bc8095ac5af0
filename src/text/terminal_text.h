#pragma once
// Text from payloads, handlers, servers and command lines, made safe for a terminal: nothing in it
// moves the cursor, changes a title, fakes a line or turns the direction of what follows. Pure.
//
// Steering characters are the controls (U+0000 to U+001F, U+007F to U+009F), the line separators
// (U+2028, U+2029) and the bidirectional marks (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to
// U+2069). A byte that is no UTF-8 counts as one: 0x9B alone starts a sequence in some terminals.

#include <cstddef>
#include <string>
#include <string_view>

namespace pgforeman {

/// One line: ASCII controls become blanks, other steering characters U+FFFD.
std::string terminal_text(std::string_view text);

/// True when terminal_text would change nothing.
bool is_terminal_safe(std::string_view text);

/// The same document: steering characters in its strings become \u escapes, line ends and tabs
/// between its tokens blanks. Bytes that are no UTF-8 become U+FFFD.
std::string terminal_json(std::string_view json);

/// Bytes of the character at the front of `text`; 0 when it is a steering one, or none.
std::size_t safe_character(std::string_view text);

}  // namespace pgforeman
