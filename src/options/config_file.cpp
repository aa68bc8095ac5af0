#include "options/config_file.h"

#include <fmt/format.h>

#include <map>

#include "options/read_file.h"
#include "options/table.h"
#include "options/value.h"
#include "text/parsed.h"

namespace pgforeman {
namespace {

// A file with all options and a page of comment for each is much shorter.
constexpr std::size_t kMaxConfigFileBytes = 1 << 20;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

ConfigFile parse_config_file(std::string_view text, const std::string& path) {
  ConfigFile file;
  std::map<std::string, int> first_seen;
  const auto error = [&](int number, std::string_view what) {
    file.errors.push_back(fmt::format("{}:{}: {}", shown(path), number, what));
  };
  // Windows editors write a byte order mark first.
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
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
    std::string_view key = trim(line.substr(0, equals));
    if (key.starts_with(kVariablePrefix)) key.remove_prefix(kVariablePrefix.size());
    // The error does not print the line, which may be part of a password.
    if (equals == std::string_view::npos || !consists_of(key, kWordCharacters)) {
      const bool shell = line.starts_with("export ");
      error(number, shell ? "is shell syntax: write KEY=value without export"
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
