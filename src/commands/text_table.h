#pragma once
// Formats tables, texts and numbers for a terminal. Pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgforeman {

/// Aligns rows in columns, two spaces apart. The first row has the headings.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

/// Returns `text` on one line, safe for a terminal (see text/terminal_text.h), cut after `most`
/// characters (0: never cut).
std::string printable(std::string_view text, std::size_t most = 0);

/// Formats 1234567 as "1,234,567".
std::string with_commas(std::int64_t number);

/// Formats 1 as "1 message", 2 as "2 messages".
std::string counted(std::int64_t number, std::string_view thing);

}  // namespace pgforeman
