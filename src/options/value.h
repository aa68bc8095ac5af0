#pragma once
// One option's value: from text into its member, and the words for what is allowed.

#include <optional>
#include <string>
#include <string_view>

#include "options/table.h"

namespace pgforeman {

/// Parses `text` into the option's member of `options`. Returns what is wrong, without the text:
/// "must be a whole number from 1 to 1024"; then the member is unchanged.
std::optional<std::string> set_value(const Option& option, std::string_view text, Options& options);

/// What a value may be: "a whole number from 1 to 1024", "exec or jsonl".
std::string allowed_values(const Option& option);

/// The same without the explanation: "1 to 1024", "10ms to 1h"; empty where anything goes.
std::string limits(const Option& option);

/// `text` for a line of a terminal or a log: what steers a terminal and bytes that are no UTF-8 are
/// escaped, and what is very long is cut.
std::string shown(std::string_view text);

/// `text` without what editors and pipes leave around a value: blanks, line ends, a byte order
/// mark.
std::string_view without_blanks_around(std::string_view text);

/// HANDLER for a log: the program alone where its arguments may hold a password; empty for noop.
std::string shown_handler(const Options& options);

std::string_view to_string(HandlerMode mode);

/// True when two sets of options have the same value of this one.
bool same_value(const Option& option, const Options& a, const Options& b);

}  // namespace pgforeman
