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

/// A database's address, or a word of it, ends up in the wrong variable easily.
bool may_hold_password(std::string_view value);

inline constexpr std::string_view kWordCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

/// True when there is a text, and no character in it but these.
bool consists_of(std::string_view text, std::string_view characters);

bool is_queue_name(std::string_view text);
bool is_address(std::string_view text);
bool is_path(std::string_view text);
// What the texts of some options must look like.
inline constexpr TextRule kQueueRule = {is_queue_name, "1 to 63 characters of A-Z a-z 0-9 _ . : -"};
inline constexpr TextRule kAddressRule = {
    is_address, "a literal IPv4 or IPv6 address, such as 127.0.0.1 or ::"};
inline constexpr TextRule kPathRule = {is_path, "the path of a file"};

/// True when two sets of options have the same value of this one.
bool same_value(const Option& option, const Options& a, const Options& b);

}  // namespace pgforeman
