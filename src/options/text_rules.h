#pragma once
// What the texts of some options must look like.

#include <string_view>

#include "options/table.h"

namespace pgforeman {

bool is_queue_name(std::string_view text);
bool is_address(std::string_view text);
bool is_path(std::string_view text);

/// A database's address, or a word of it, ends up in the wrong variable easily.
bool may_hold_password(std::string_view value);

inline constexpr TextRule kQueueRule = {is_queue_name, "1 to 63 characters of A-Z a-z 0-9 _ . : -"};
inline constexpr TextRule kAddressRule = {
    is_address, "a literal IPv4 or IPv6 address, such as 127.0.0.1 or ::"};
inline constexpr TextRule kPathRule = {is_path, "the path of a file"};

}  // namespace pgforeman
