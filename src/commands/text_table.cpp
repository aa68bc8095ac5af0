#include "commands/text_table.h"

#include <algorithm>

#include "text/terminal_text.h"
#include "text/utf8.h"

namespace pgforeman {

namespace {

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

}  // namespace

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], characters(row[i]));
    }
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - characters(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string printable(std::string_view text, std::size_t most) {
  std::string clean = terminal_text(text);
  std::size_t count = 0;
  for (std::size_t at = 0; most > 0 && at < clean.size(); ++at) {
    if (starts_character(clean[at]) && ++count > most) return clean.substr(0, at) + "...";
  }
  return clean;
}

std::string with_commas(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return digits;
}

std::string counted(std::int64_t number, std::string_view thing) {
  return with_commas(number) + ' ' + std::string(thing) + (number == 1 ? "" : "s");
}

}  // namespace pgforeman
