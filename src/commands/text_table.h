#pragma once
// Text for a terminal. Pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgforeman {

/// Rows as columns two spaces apart, the first row being the headings.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

/// `text` on one line, safe for a terminal (see text/terminal_text.h). Longer than `most`
/// characters is cut (0: never).
std::string printable(std::string_view text, std::size_t most = 0);

/// 1234567 -> "1,234,567".
std::string with_commas(std::int64_t number);

/// 1 -> "1 message", 2 -> "2 messages".
std::string counted(std::int64_t number, std::string_view thing);

}  // namespace pgforeman
