#include "options/config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/parsed.h"
#include "options/read_file.h"
#include "options/table.h"
#include "options/value.h"

namespace pgforeman {
namespace {

// All options with a page of comment each stay far below this.
constexpr std::size_t kMaxConfigFileBytes = 1 << 20;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

bool is_key(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string_view without_prefix(std::string_view key) {
  if (key.substr(0, kVariablePrefix.size()) == kVariablePrefix) {
    key.remove_prefix(kVariablePrefix.size());
  }
  return key;
}

}  // namespace

ConfigFile parse_config_file(std::string_view text, const std::string& path) {
  ConfigFile file;
  std::map<std::string, int> first_seen;
  const auto error = [&](int number, std::string_view what) {
    file.errors.push_back(fmt::format("{}:{}: {}", shown(path), number, what));
  };
  // Editors of Windows put a byte order mark in front.
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  if (text.substr(0, 2) == "\xff\xfe" || text.substr(0, 2) == "\xfe\xff") {
    error(1, "the file is in UTF-16: save it as UTF-8");
    return file;
  }
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const std::size_t equals = line.find('=');
    const std::string_view key =
        without_prefix(trim(line.substr(0, std::min(equals, line.size()))));
    // The line itself is not printed: it may be a half of a password.
    if (equals == std::string_view::npos || !is_key(key)) {
      const bool shell = line.substr(0, 7) == "export ";
      error(number, shell ? "is of a shell: KEY=value without export is wanted"
                          : "is not of the form KEY=value (letters, digits and _ make a key)");
      continue;
    }
    const std::string_view value = trim(line.substr(equals + 1));
    if (value.find('\0') != std::string_view::npos) {
      error(number, fmt::format("{}: its value holds a NUL byte", key));
      continue;
    }
    const auto [seen, is_new] = first_seen.emplace(key, number);
    if (!is_new) {
      error(number, fmt::format("{}: is set on line {} already", key, seen->second));
      continue;
    }
    file.lines.push_back({number, std::string(key), std::string(value)});
  }
  return file;
}

ConfigFile read_config_file(const std::string& path) {
  const Parsed<std::string> text = read_text_file(path, kMaxConfigFileBytes);
  if (text) return parse_config_file(*text.value, path);
  ConfigFile file;
  file.errors.push_back(fmt::format("{}: the config file {}", shown(path), text.problem));
  return file;
}

}  // namespace pgforeman
