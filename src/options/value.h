#pragma once
// Parses the value of an option into its member, and describes the allowed values.

#include <optional>
#include <string>
#include <string_view>

#include "options/table.h"

namespace pgforeman {

/// Parses `text` into the option's member of `options`. On an error returns a problem that does not
/// quote `text`: "must be a whole number from 1 to 1024". The member is then unchanged.
std::optional<std::string> set_value(const Option& option, std::string_view text, Options& options);

/// Describes the allowed values: "a whole number from 1 to 1024", "exec or jsonl".
std::string allowed_values(const Option& option);

/// Returns only the limits: "1 to 1024", "10ms to 1h"; empty if every value is allowed.
std::string limits(const Option& option);

/// Returns `text` for a line of a terminal or a log. Escapes control characters and invalid UTF-8,
/// and cuts a very long text.
std::string shown(std::string_view text);

/// Removes blanks, line ends and byte order marks, left by editors and pipes, around `text`.
std::string_view trimmed(std::string_view text);

/// Returns HANDLER for a log; only the program if the command may hold a password; empty for noop.
std::string shown_handler(const Options& options);

std::string_view to_string(HandlerMode mode);

/// True for text with "://" or "password=": a database address may be in the wrong variable.
bool may_hold_password(std::string_view value);

inline constexpr std::string_view kWordCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

/// True if `text` is not empty and has only characters of `characters`.
bool consists_of(std::string_view text, std::string_view characters);

bool is_queue_name(std::string_view text);
bool is_address(std::string_view text);
bool is_path(std::string_view text);
// Rules for the text of some options.
inline constexpr TextRule kQueueRule = {is_queue_name, "1 to 63 characters of A-Z a-z 0-9 _ . : -"};
inline constexpr TextRule kAddressRule = {
    is_address, "a literal IPv4 or IPv6 address, such as 127.0.0.1 or ::"};
inline constexpr TextRule kPathRule = {is_path, "the path of a file"};

/// True if `option` has the same value in `a` and `b`.
bool same_value(const Option& option, const Options& a, const Options& b);

}  // namespace pgforeman
