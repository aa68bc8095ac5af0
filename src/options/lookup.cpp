#include <fmt/format.h>

#include <algorithm>

#include "options/table.h"

namespace pgforeman {

const Option* find_option(std::string_view name) {
  const auto table = option_table();
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Option& option) { return option.name == name; });
  return found == table.end() ? nullptr : &*found;
}

std::string variable_of(const Option& option) {
  return std::string(kVariablePrefix) + std::string(option.name);
}

std::string flag_of(const Option& option) {
  std::string flag = "--";
  for (const char c : option.name) {
    flag += c == '_' ? '-' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return flag;
}

bool is_for(const Option& option, Command command) {
  return (option.commands & commands_of(command)) != 0;
}

std::string names_of(Commands commands) {
  std::string text;
  for (std::size_t i = 0; i < std::size(kCommandNames); ++i) {
    if ((commands & (1U << i)) == 0) continue;
    text += fmt::format("{}`{}`", text.empty() ? "" : ", ", kCommandNames[i]);
  }
  return text;
}

}  // namespace pgforeman
